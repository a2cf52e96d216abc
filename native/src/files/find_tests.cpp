// The tests of `find`.

#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <regex.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>

#include "find_expression.hpp"
#include "find_patterns.hpp"

namespace madang::files {
namespace {

constexpr double kDay = 86400;

class Test final : public Clause {
 public:
  Test(int costs, std::function<bool(Found&)> test) : test_(std::move(test)) { cost = costs; }
  bool holds(Found& found) const override { return test_(found); }

 private:
  std::function<bool(Found&)> test_;
};

ClausePointer test(int cost, std::function<bool(Found&)> holds) {
  return std::make_unique<Test>(cost, std::move(holds));
}

// A test of what statx tells.
template <typename Holds>
ClausePointer status_test(Expression& expression, unsigned mask, Holds holds) {
  expression.mask |= mask;
  return test(2, [holds](Found& found) {
    const struct statx* status = found.status();
    return status && holds(*status);
  });
}

[[noreturn]] void invalid(const std::string& word, const std::string& argument, const char* wanted) {
  throw Misunderstood("invalid argument '" + argument + "' to '" + word + "': " + wanted);
}

// "+5": more than, "-5": less than, "5".
struct Range {
  char sign = '=';
  double number = 0;

  bool holds(double value) const {
    return sign == '+' ? value > number : sign == '-' ? value < number : value == number;
  }
};

Range parse_range(const std::string& word, const std::string& argument, std::string_view& rest) {
  Range range;
  const char* text = argument.c_str();
  if (*text == '+' || *text == '-') range.sign = *text++;
  char* end = nullptr;
  if ((*text < '0' || *text > '9') && *text != '.') invalid(word, argument, "a number, as in 5, +5 or -5, is wanted");
  range.number = std::strtod(text, &end);
  rest = end;
  return range;
}

Range parse_number(const std::string& word, const std::string& argument) {
  std::string_view rest;
  const Range range = parse_range(word, argument, rest);
  if (!rest.empty()) invalid(word, argument, "a number, as in 5, +5 or -5, is wanted");
  return range;
}

std::function<bool(std::uint64_t)> parse_file_size(const std::string& word, const std::string& argument) {
  std::string_view rest;
  const Range range = parse_range(word, argument, rest);
  std::uint64_t unit = 512;
  if (rest.size() > 1) rest = "?";
  switch (rest.empty() ? 'b' : rest.front()) {
    case 'b': break;
    case 'c': unit = 1; break;
    case 'w': unit = 2; break;
    case 'k': unit = 1 << 10; break;
    case 'M': unit = 1 << 20; break;
    case 'G': unit = 1 << 30; break;
    default: invalid(word, argument, "a number is wanted, with c, w, b, k, M or G after it");
  }
  return [range, unit](std::uint64_t size) {
    return range.holds(static_cast<double>(size / unit + (size % unit != 0)));
  };
}

const statx_timestamp& time_of(const struct statx& status, char which) {
  switch (which) {
    case 'a': return status.stx_atime;
    case 'c': return status.stx_ctime;
    case 'B': return status.stx_btime;
    default: return status.stx_mtime;
  }
}

unsigned mask_of_time(char which) {
  return which == 'a' ? STATX_ATIME : which == 'c' ? STATX_CTIME : which == 'B' ? STATX_BTIME : STATX_MTIME;
}

bool later(const statx_timestamp& time, const timespec& than) {
  return time.tv_sec != than.tv_sec ? time.tv_sec > than.tv_sec : time.tv_nsec > than.tv_nsec;
}

ClausePointer make_age_test(const std::string& word, const std::string& argument, const timespec& now,
                            Expression& expression) {
  const Range range = parse_number(word, argument);
  const char which = word[1];
  const bool days = word.ends_with("time");
  return status_test(expression, mask_of_time(which), [=](const struct statx& status) {
    const statx_timestamp& time = time_of(status, which);
    const double age = static_cast<double>(now.tv_sec - time.tv_sec) + (static_cast<double>(now.tv_nsec) - time.tv_nsec) / 1e9;
    // As find has it: days that are full, minutes that have begun.
    if (!days) {
      const double limit = range.number * 60;
      return range.sign == '+' ? age > limit : range.sign == '-' ? age < limit : age < limit && age >= limit - 60;
    }
    const double limit = range.number * kDay;
    return range.sign == '+'   ? age > limit + kDay
           : range.sign == '-' ? age < limit + 1
                               : age >= limit && age < limit + kDay;
  });
}

struct statx status_of_reference(const std::string& path) {
  struct statx status;
  if (const int error = status_of(AT_FDCWD, path.c_str(), STATX_BASIC_STATS | STATX_BTIME, status)) {
    throw Misunderstood("'" + path + "': " + strerror(error));
  }
  return status;
}

timespec parse_moment(const std::string& word, const std::string& argument) {
  std::int64_t seconds = 0;
  if (!parse_time(argument, seconds)) {
    invalid(word, argument, "a time is wanted, as in 2026-12-31, '2026-12-31 23:59' or @1796138293");
  }
  return {seconds, 0};
}

ClausePointer make_newer_test(const std::string& word, const std::string& argument, Expression& expression) {
  char mine = 'm', other = 'm';
  if (word == "-anewer" || word == "-cnewer") {
    mine = word[1];
  } else if (word.size() == 8) {  // -newerXY
    mine = word[6];
    other = word[7];
  }
  timespec than;
  if (other == 't') {
    than = parse_moment(word, argument);
  } else {
    const struct statx reference = status_of_reference(argument);
    const statx_timestamp& time = time_of(reference, other);
    than = {time.tv_sec, time.tv_nsec};
  }
  return status_test(expression, mask_of_time(mine),
                     [=](const struct statx& status) { return later(time_of(status, mine), than); });
}

ClausePointer make_type_test(const std::string& word, const std::string& argument) {
  static constexpr std::string_view kLetters = "pcdb-fls";
  static constexpr unsigned char kTypes[] = {DT_FIFO, DT_CHR, DT_DIR, DT_BLK, 0, DT_REG, DT_LNK, DT_SOCK};
  unsigned wanted = 0;
  for (std::size_t at = 0; at < argument.size(); at += 2) {
    const std::size_t letter = argument[at] == '-' ? std::string_view::npos : kLetters.find(argument[at]);
    if (letter == std::string_view::npos || (at + 1 < argument.size() && argument[at + 1] != ',')) wanted = 0;
    if (letter == std::string_view::npos) break;
    wanted |= 1u << kTypes[letter];
  }
  if (wanted == 0 || argument.back() == ',') invalid(word, argument, "letters of bcdpfls are wanted, as in f or f,d");
  if (word == "-xtype") {
    return test(3, [wanted](Found& found) {
      int error = 0;
      const unsigned char type = found.target_type(error);
      if (error == ENOENT || error == ENOTDIR) return (wanted >> DT_LNK & 1) != 0;  // a link is all it is
      if (error != 0) found.fail("", error);
      return (wanted >> type & 1) != 0;
    });
  }
  return test(1, [wanted](Found& found) { return wanted >> found.type() & 1; });
}

ClausePointer make_permission_test(const std::string& word, const std::string& argument, Expression& expression) {
  const char how = argument.empty() ? 0 : argument.front();
  unsigned wanted = 0;
  if (!parse_permissions(how == '-' || how == '/' ? argument.substr(1) : argument, wanted)) {
    invalid(word, argument, "permissions are wanted, as in 644, -u+w or /222");
  }
  return status_test(expression, STATX_MODE, [=](const struct statx& status) {
    const unsigned mode = status.stx_mode & 07777;
    if (how == '-') return (mode & wanted) == wanted;
    if (how == '/') return wanted == 0 || (mode & wanted) != 0;
    return mode == wanted;
  });
}

std::uint32_t parse_owner(const std::string& word, const std::string& argument) {
  if (word == "-user") {
    if (const passwd* user = getpwnam(argument.c_str())) return user->pw_uid;
  } else if (const group* group = getgrnam(argument.c_str())) {
    return group->gr_gid;
  }
  std::uint32_t id = 0;
  const char* end = argument.data() + argument.size();
  const auto parsed = std::from_chars(argument.data(), end, id);
  if (argument.empty() || parsed.ec != std::errc() || parsed.ptr != end) {
    throw Misunderstood("'" + argument + "' is not the name of a known " + (word == "-user" ? "user" : "group"));
  }
  return id;
}

bool is_empty(Found& found) {
  const unsigned char type = found.type();
  if (type == DT_REG) {
    const struct statx* status = found.status();
    return status && status->stx_size == 0;
  }
  if (type != DT_DIR) return false;
  found.lane().request();
  const Descriptor directory(openat(found.fd(), found.entry().name,
                                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!directory) {
    found.fail("", errno);
    return false;
  }
  found.lane().request();
  bool empty = true;
  // Another reader than the lane's, which may be reading the directory that this one is in.
  const int error = DirectoryReader(1024).read(directory.get(), [&](const DirectoryReader::Record&) { empty = false; });
  if (error != 0) found.fail("", error);
  return empty && error == 0;
}

ClausePointer make_access_test(int wanted) {
  return test(3, [wanted](Found& found) {
    found.lane().request();
    return faccessat(found.fd(), found.entry().name, wanted, 0) == 0;
  });
}

ClausePointer make_name_test(const std::string& word, const std::string& argument) {
  const bool ignore_case = word[1] == 'i';
  if (word.ends_with("lname")) {
    return test(3, [pattern = Pattern(argument, ignore_case)](Found& found) {
      return found.type() == DT_LNK && pattern.matches(std::string(found.link()));
    });
  }
  if (word.ends_with("name") && !word.ends_with("wholename")) {
    return test(0, [pattern = Pattern(argument, ignore_case)](Found& found) {
      return found.is_root() ? pattern.matches(std::string(found.name())) : pattern.matches(found.entry().view());
    });
  }
  return test(0, [pattern = Pattern(argument, ignore_case)](Found& found) { return pattern.matches(found.path()); });
}

struct Word {
  std::string_view name;
  int arguments;
};

constexpr Word kWords[] = {
    {"-name", 1},     {"-iname", 1},    {"-path", 1},      {"-ipath", 1},      {"-wholename", 1}, {"-iwholename", 1},
    {"-lname", 1},    {"-ilname", 1},   {"-regex", 1},     {"-iregex", 1},     {"-type", 1},      {"-xtype", 1},
    {"-size", 1},     {"-empty", 0},    {"-perm", 1},      {"-user", 1},       {"-uid", 1},       {"-group", 1},
    {"-gid", 1},      {"-nouser", 0},   {"-nogroup", 0},   {"-links", 1},      {"-inum", 1},      {"-samefile", 1},
    {"-mtime", 1},    {"-atime", 1},    {"-ctime", 1},     {"-mmin", 1},       {"-amin", 1},      {"-cmin", 1},
    {"-newer", 1},    {"-anewer", 1},   {"-cnewer", 1},    {"-readable", 0},   {"-writable", 0},  {"-executable", 0},
    {"-true", 0},     {"-false", 0},
};

bool is_newer_of(std::string_view word) {
  return word.size() == 8 && word.starts_with("-newer") && std::strchr("aBcm", word[6]) && std::strchr("aBcmt", word[7]);
}

}  // namespace

int arguments_of_test(std::string_view word) {
  if (is_newer_of(word)) return 1;
  for (const Word& known : kWords) {
    if (known.name == word) return known.arguments;
  }
  return -1;
}

ClausePointer make_test(const std::string& word, const std::string& argument, const timespec& now,
                        Expression& expression) {
  if (word == "-true" || word == "-false") return test(0, [is = word == "-true"](Found&) { return is; });
  if (word == "-type" || word == "-xtype") return make_type_test(word, argument);
  if (word == "-regex" || word == "-iregex") {
    return test(0, [pattern = RegularExpression(argument, word == "-iregex")](Found& found) {
      return pattern.matches(found.path());
    });
  }
  if (word.ends_with("name") || word.ends_with("path")) return make_name_test(word, argument);
  if (word == "-size") {
    return status_test(expression, STATX_SIZE, [holds = parse_file_size(word, argument)](const struct statx& status) {
      return holds(status.stx_size);
    });
  }
  if (word == "-empty") {
    expression.mask |= STATX_SIZE;
    return test(3, is_empty);
  }
  if (word == "-perm") return make_permission_test(word, argument, expression);
  if (word == "-user" || word == "-group") {
    const std::uint32_t id = parse_owner(word, argument);
    if (word == "-user") {
      return status_test(expression, STATX_UID, [id](const struct statx& status) { return status.stx_uid == id; });
    }
    return status_test(expression, STATX_GID, [id](const struct statx& status) { return status.stx_gid == id; });
  }
  if (word == "-uid" || word == "-gid" || word == "-links" || word == "-inum") {
    const Range range = parse_number(word, argument);
    const unsigned mask = word == "-uid" ? STATX_UID : word == "-gid" ? STATX_GID : word == "-links" ? STATX_NLINK : STATX_INO;
    return status_test(expression, mask, [range, mask](const struct statx& status) {
      switch (mask) {
        case STATX_UID: return range.holds(status.stx_uid);
        case STATX_GID: return range.holds(status.stx_gid);
        case STATX_NLINK: return range.holds(status.stx_nlink);
        default: return range.holds(static_cast<double>(status.stx_ino));
      }
    });
  }
  if (word == "-nouser" || word == "-nogroup") {
    const bool users = word == "-nouser";
    expression.mask |= users ? STATX_UID : STATX_GID;
    return test(2, [users](Found& found) {
      const struct statx* status = found.status();
      if (!status) return false;
      return users ? !found.search().users.knows(status->stx_uid) : !found.search().groups.knows(status->stx_gid);
    });
  }
  if (word == "-samefile") {
    const struct statx same = status_of_reference(argument);
    return status_test(expression, STATX_INO, [same](const struct statx& status) {
      return status.stx_ino == same.stx_ino && status.stx_dev_major == same.stx_dev_major &&
             status.stx_dev_minor == same.stx_dev_minor;
    });
  }
  if (word.starts_with("-newer") || word.ends_with("newer")) return make_newer_test(word, argument, expression);
  if (word.ends_with("time") || word.ends_with("min")) return make_age_test(word, argument, now, expression);
  if (word == "-readable") return make_access_test(R_OK);
  if (word == "-writable") return make_access_test(W_OK);
  return make_access_test(X_OK);  // -executable
}

}  // namespace madang::files

// madang-stat: what is known of files, as `stat` prints it.

#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstring>
#include <ctime>
#include <memory>

#include "../files/text.hpp"
#include "program.hpp"

namespace madang::commands {
namespace {

constexpr const char* kUsage =
    "Usage: madang-stat [OPTION]... FILE...\n"
    "Prints what is known of files.\n"
    "\n"
    "  -c, --format FORMAT     as FORMAT says, a line each; of stat's directives: %a %A %b %B %d %D\n"
    "                          %f %F %g %G %h %i %n %N %o %r %s %t %T %u %U %w %W %x %X %y %Y %z %Z\n"
    "                          %Hd %Ld %Hr %Lr\n"
    "      --printf FORMAT     the same without ends of lines, with \\n, \\t, \\0 and \\\\\n"
    "  -L, --dereference       of what symbolic links lead to\n"
    "      --json-lines        a JSON object for each\n";

constexpr const char* kDefault =
    "  File: %E\n  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\nDevice: %Hd,%Ld\tInode: %-11i Links: %V\n"
    "Access: (%04a/%10A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\n"
    "Access: %x\nModify: %y\nChange: %z\n Birth: %w\n";

struct Status {
  const char* path;
  struct statx known;
  std::string link;
  int error = 0;
};

class StatTask final : public files::Task {
 public:
  StatTask(Status& status, bool follow) : status_(status), follow_(follow) {}

  void run(files::Lane& lane) override {
    lane.request();
    const int flags = AT_NO_AUTOMOUNT | (follow_ ? 0 : AT_SYMLINK_NOFOLLOW);
    if (statx(AT_FDCWD, status_.path, flags, STATX_BASIC_STATS | STATX_BTIME, &status_.known) != 0) {
      status_.error = errno;
    } else if (S_ISLNK(status_.known.stx_mode)) {
      std::vector<char>& buffer = lane.buffer(4097);
      lane.request();
      const ssize_t length = readlink(status_.path, buffer.data(), buffer.size());
      if (length > 0) status_.link.assign(buffer.data(), static_cast<std::size_t>(length));
    }
    lane.done().add(1);
  }

 private:
  Status& status_;
  const bool follow_;
};

std::string_view kind(const struct statx& status) {
  switch (status.stx_mode & S_IFMT) {
    case S_IFREG: return status.stx_size == 0 ? "regular empty file" : "regular file";
    case S_IFDIR: return "directory";
    case S_IFLNK: return "symbolic link";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFCHR: return "character special file";
    case S_IFBLK: return "block special file";
    default: return "weird file";
  }
}

std::string in_base(std::uint64_t number, const char* format) {
  char text[32];
  return {text, static_cast<std::size_t>(std::snprintf(text, sizeof text, format, static_cast<unsigned long>(number)))};
}

class Printer {
 public:
  std::string value(const Status& status, char part, char directive) {
    const struct statx& known = status.known;
    const std::uint64_t device = makedev(known.stx_dev_major, known.stx_dev_minor);
    switch (directive) {
      case 'a': return in_base(known.stx_mode & 07777u, "%lo");
      case 'A': {
        std::string mode;
        files::append_mode(mode, known.stx_mode);
        return mode;
      }
      case 'b': return std::to_string(known.stx_blocks);
      case 'B': return "512";
      case 'd': return std::to_string(part == 'H' ? known.stx_dev_major : part == 'L' ? known.stx_dev_minor : device);
      case 'D': return in_base(device, "%lx");
      case 'E': return status.link.empty() ? status.path : std::string(status.path) + " -> " + status.link;
      case 'f': return in_base(known.stx_mode, "%lx");
      case 'F': return std::string(kind(known));
      case 'g': return std::to_string(known.stx_gid);
      case 'G': return name(groups_, known.stx_gid);
      case 'h': return std::to_string(known.stx_nlink);
      case 'i': return std::to_string(known.stx_ino);
      case 'n': return status.path;
      case 'N': return status.link.empty() ? quoted(status.path) : quoted(status.path) + " -> " + quoted(status.link);
      case 'o': return std::to_string(known.stx_blksize);
      case 'r':
        return std::to_string(part == 'H'   ? known.stx_rdev_major
                              : part == 'L' ? known.stx_rdev_minor
                                            : makedev(known.stx_rdev_major, known.stx_rdev_minor));
      case 's': return std::to_string(known.stx_size);
      case 't': return in_base(known.stx_rdev_major, "%lx");
      case 'T': return in_base(known.stx_rdev_minor, "%lx");
      case 'u': return std::to_string(known.stx_uid);
      case 'U': return name(users_, known.stx_uid);
      case 'w': return known.stx_mask & STATX_BTIME ? time_text(known.stx_btime) : "-";
      case 'W': return known.stx_mask & STATX_BTIME ? std::to_string(known.stx_btime.tv_sec) : "0";
      case 'x': return time_text(known.stx_atime);
      case 'X': return std::to_string(known.stx_atime.tv_sec);
      case 'y': return time_text(known.stx_mtime);
      case 'Y': return std::to_string(known.stx_mtime.tv_sec);
      case 'z': return time_text(known.stx_ctime);
      case 'Z': return std::to_string(known.stx_ctime.tv_sec);
      default: return "?";  // as stat has it
    }
  }

  void append(std::string& out, const char* format, const Status& status, bool escapes) {
    for (const char* at = format; *at; ++at) {
      if (escapes && *at == '\\' && at[1]) {
        static constexpr std::string_view kLetters = "ntr0\\\"";
        const std::size_t letter = kLetters.find(*++at);
        out.push_back(letter == std::string_view::npos ? *at : std::string_view("\n\t\r\0\\\"", 6)[letter]);
      } else if (*at == '%' && at[1]) {
        at = append_directive(out, at + 1, status);
      } else {
        out.push_back(*at);
      }
    }
  }

  void append_json(std::string& out, const Status& status) {
    const struct statx& known = status.known;
    out.append("{\"path\":").append(json_string(status.path));
    out.append(",\"type\":").append(json_string(files::type_name(files::type_of(known))));
    for (const auto& [key, directive] : {std::pair("mode", 'A'), std::pair("user", 'U'), std::pair("group", 'G')}) {
      out.append(",\"").append(key).append("\":").append(json_string(value(status, 0, directive)));
    }
    const std::pair<const char*, std::int64_t> numbers[] = {
        {"nlink", known.stx_nlink}, {"size", known.stx_size}, {"blocks", known.stx_blocks}, {"inode", known.stx_ino},
        {"atime_ns", nanoseconds(known.stx_atime)}, {"mtime_ns", nanoseconds(known.stx_mtime)},
        {"ctime_ns", nanoseconds(known.stx_ctime)}};
    for (const auto& [key, number] : numbers) {
      out.append(",\"").append(key).append("\":");
      files::append_number(out, number);
    }
    if (!status.link.empty()) out.append(",\"target\":").append(json_string(status.link));
    out.append("}\n");
  }

 private:
  static std::int64_t nanoseconds(const statx_timestamp& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

  static std::string time_text(const statx_timestamp& time) {
    std::string text;
    files::append_time(text, "%Y-%m-%d %H:%M:%S.%N %z", time.tv_sec, time.tv_nsec);
    return text;
  }

  static std::string name(files::IdNames& names, std::uint32_t id) { return names.knows(id) ? names.name(id) : "UNKNOWN"; }

  // `at` is after the percent sign; returns its last character.
  const char* append_directive(std::string& out, const char* at, const Status& status) {
    bool left = false, zeros = false;
    std::size_t width = 0;
    for (; *at == '-' || *at == '0'; ++at) (*at == '-' ? left : zeros) = true;
    for (; *at >= '0' && *at <= '9'; ++at) width = std::min<std::size_t>(width * 10 + (*at - '0'), 4096);
    const char part = (*at == 'H' || *at == 'L') && at[1] ? *at++ : 0;
    if (*at == '\0') {
      out.push_back('%');
      return at - 1;
    }
    if (*at == '%') {
      out.push_back('%');
      return at;
    }
    if (*at == 'V') {  // of the default format: how many links, and the numbers of a device
      const bool is_device = S_ISCHR(status.known.stx_mode) || S_ISBLK(status.known.stx_mode);
      append(out, is_device ? "%-5h Device type: %Hr,%Lr" : "%h", status, false);
      return at;
    }
    const std::string text = value(status, part, *at);
    const std::size_t pad = width - std::min(width, text.size());
    if (left) {
      out.append(text).append(pad, ' ');
    } else {
      out.append(pad, zeros ? '0' : ' ').append(text);
    }
    return at;
  }

  files::IdNames users_{files::IdNames::Of::users};
  files::IdNames groups_{files::IdNames::Of::groups};
};

enum Option { kPrintf = kOwnOptions, kJson };

const option kOptions[] = {{"format", required_argument, nullptr, 'c'},
                           {"printf", required_argument, nullptr, kPrintf},
                           {"dereference", no_argument, nullptr, 'L'},
                           {"json-lines", no_argument, nullptr, kJson},
                           MADANG_COMMON_OPTIONS,
                           {nullptr, 0, nullptr, 0}};

int run_stat(int argc, char** argv) {
  std::setlocale(LC_ALL, "");
  tzset();
  Program program("madang-stat", kUsage);
  std::string format = kDefault;
  bool escapes = false, follow = false, json = false;
  for (int option; (option = getopt_long(argc, argv, "c:L", kOptions, nullptr)) != -1;) {
    switch (option) {
      case 'c': format = std::string(optarg) + "\n", escapes = false; break;
      case kPrintf: format = optarg, escapes = true; break;
      case 'L': follow = true; break;
      case kJson: json = true; break;
      default: program.take_common(option, optarg);
    }
  }
  if (optind == argc) program.misused("missing operand");
  std::vector<Status> statuses(static_cast<std::size_t>(argc - optind));
  const files::Run run = program.run();
  files::Crew crew(files::crew_options(run));
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    statuses[i].path = argv[optind + static_cast<int>(i)];
    crew.add(std::make_unique<StatTask>(statuses[i], follow));
  }
  files::run_crew(crew, run);
  Printer printer;
  Output output(1);
  std::string text;
  for (const Status& status : statuses) {
    if (status.error != 0) {
      program.complain(files::Failure{"cannot statx", status.path, status.error});
    } else if (json) {
      printer.append_json(text, status);
    } else {
      printer.append(text, format.c_str(), status, escapes);
    }
  }
  output.write(text);
  return program.exit_code();
}

}  // namespace
}  // namespace madang::commands

int main(int argc, char** argv) { return madang::commands::run_stat(argc, argv); }

#include "program.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace madang::commands {
namespace {

constexpr std::int64_t kShowAfterNs = 1'000'000'000;
constexpr std::int64_t kShowEveryNs = 200'000'000;

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE) _exit(128 + 13);  // as if by SIGPIPE: nobody reads any more
      const std::string reason = std::string("cannot write: ") + strerror(errno) + "\n";
      (void)!::write(2, reason.data(), reason.size());
      _exit(kTrouble);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string with_unit(double amount, const char* const* units, double step) {
  while (amount >= step && units[1]) {
    amount /= step;
    ++units;
  }
  char text[32];
  std::snprintf(text, sizeof text, amount < 10 && **units ? "%.1f%s" : "%.0f%s", amount, *units);
  return text;
}

std::string short_count(double count) {
  static const char* const units[] = {"", " k", " M", " G", nullptr};
  return with_unit(count, units, 1000);
}

std::string short_bytes(double bytes) {
  static const char* const units[] = {" B", " KiB", " MiB", " GiB", " TiB", nullptr};
  return with_unit(bytes, units, 1024);
}

std::string short_time(double seconds) {
  char text[32];
  const long whole = static_cast<long>(seconds + 0.5);
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
  } else if (whole >= 60) {
    std::snprintf(text, sizeof text, "%ld min %02ld s", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld s", whole);
  }
  return text;
}

// The length of the UTF-8 character that `text` begins with; 0: there is none.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = byte(0) < 0x80   ? 1
                             : byte(0) < 0xc2 ? 0
                             : byte(0) < 0xe0 ? 2
                             : byte(0) < 0xf0 ? 3
                             : byte(0) < 0xf5 ? 4
                                              : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xf0 && byte(1) < 0x90);
  const bool surrogate = byte(0) == 0xed && byte(1) >= 0xa0;
  const bool too_high = byte(0) == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || too_high ? 0 : length;
}

bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7f; }

// Whether all of `text` may be shown as it is.
bool printable(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0 || is_control(text[0])) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

std::string quoted(std::string_view name) {
  if (printable(name)) {
    if (name.find('\'') == std::string_view::npos) return "'" + std::string(name) + "'";
    if (name.find_first_of("\"$`\\!") == std::string_view::npos) return "\"" + std::string(name) + "\"";
  }
  std::string text = "'";
  bool escaping = false;  // inside $'..'
  while (!name.empty()) {
    const unsigned char byte = name[0];
    const std::size_t length = character_length(name);
    const bool escape = length == 0 || is_control(byte);
    if (escape != escaping) {
      text += escape ? "'$'" : "''";
      escaping = escape;
    }
    if (escape) {
      static constexpr std::string_view kLetters = "abtnvfr";
      char code[8];
      if (byte >= 7 && byte <= 13) {
        std::snprintf(code, sizeof code, "\\%c", kLetters[byte - 7]);
      } else {
        std::snprintf(code, sizeof code, "\\%03o", byte);
      }
      text += code;
    } else if (byte == '\'') {
      text += "'\\''";
    } else {
      text += name.substr(0, length);
    }
    name.remove_prefix(escape ? 1 : length);
  }
  return text + "'";
}

std::string json_string(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const unsigned char byte = text[0];
    const std::size_t length = character_length(text);
    char code[8];
    if (length == 0) {
      std::snprintf(code, sizeof code, "\\udc%02x", byte);
      json += code;
    } else if (byte == '"' || byte == '\\') {
      json += '\\';
      json += static_cast<char>(byte);
    } else if (is_control(byte)) {
      std::snprintf(code, sizeof code, "\\u%04x", byte);
      json += code;
    } else {
      json += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return json + "\"";
}

void raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

bool Program::take_common(int option, const char* value) {
  switch (option) {
    case kShowHelp:
      std::fputs(help_, stdout);
      std::fputs(kCommonHelp, stdout);
      std::exit(0);
    case kVersion:
      std::printf("%s (Madang) %s\n", name_, MADANG_VERSION);
      std::exit(0);
    case kJobs:
      crew_.jobs = static_cast<unsigned>(number("--jobs", value, 1));
      if (crew_.jobs > files::Crew::kMaxLanes) {
        misused("--jobs " + std::string(value) + " is more than " +
                std::to_string(files::Crew::kMaxLanes));
      }
      return true;
    case kMaxOps:
      crew_.max_requests_per_s = static_cast<double>(number("--max-ops", value, 1));
      return true;
    case kProgress:
      show_progress_ = 1;
      return true;
    case kNoProgress:
      show_progress_ = 0;
      return true;
    case '?':  // getopt has said what is wrong
    case ':':
      std::fprintf(stderr, "Try '%s --help' for more information.\n", name_);
      std::exit(misuse_);
    default:
      return false;
  }
}

void Program::misused(const std::string& what) const {
  std::fprintf(stderr, "%s: %s\nTry '%s --help' for more information.\n", name_, what.c_str(), name_);
  std::exit(misuse_);
}

std::uint64_t Program::number(const char* option, const char* value, std::uint64_t least) const {
  char* end = nullptr;
  errno = 0;
  const unsigned long long number = std::strtoull(value, &end, 10);
  if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || number < least) {
    misused(std::string(option) + " " + quoted(value) + " is not a whole number of " +
            std::to_string(least) + " or more");
  }
  return number;
}

void Program::complain(const files::Failure& failure) {
  std::string what = failure.action;
  if (!what.empty()) what += ' ';
  what += quoted(failure.path) + failure.joint;
  if (!failure.other.empty()) what += quoted(failure.other) + failure.end;
  if (failure.error != 0) what += std::string(": ") + strerror(failure.error);
  complain(what);
}

void Program::complain(const std::string& what) {
  std::lock_guard lock(speaking_);
  hide_progress();
  failed_ = true;
  if (silent_) return;
  write_all(2, std::string(name_) + ": " + what + "\n");
}

std::vector<std::string> Program::roots(char** first, char** last, bool preserve_root) {
  std::vector<std::string> paths;
  struct stat root, status;
  const bool known = preserve_root && lstat("/", &root) == 0;
  for (; first != last; ++first) {
    if (known && lstat(*first, &status) == 0 && status.st_dev == root.st_dev && status.st_ino == root.st_ino) {
      complain("it is dangerous to operate recursively on " + quoted(*first));
      complain("use --no-preserve-root to override this failsafe");
    } else {
      paths.emplace_back(*first);
    }
  }
  return paths;
}

files::Run Program::run() {
  files::Run run;
  run.crew = crew_;
  run.failed = [this](const files::Failure& failure) { complain(failure); };
  started_ns_ = files::now_ns();
  const bool shows = show_progress_ == 1 || (show_progress_ == -1 && isatty(2));
  if (shows || report_.is_wanted()) {
    run.poll = [this, shows](const files::Progress& progress) {
      if (shows) show(progress);
      if (report_.is_wanted()) report_.tell(progress);
      return false;
    };
  }
  return run;
}

void Program::show(const files::Progress& progress) {
  std::lock_guard lock(speaking_);
  const std::int64_t now = files::now_ns();
  if (now - started_ns_ < kShowAfterNs || now - last_shown_ns_ < kShowEveryNs) return;
  last_shown_ns_ = now;
  const double seconds = static_cast<double>(now - started_ns_) / 1e9;
  const double items = static_cast<double>(progress.items);
  const double bytes = static_cast<double>(progress.bytes);
  std::string line = "\r\033[K" + std::string(name_) + ": " + short_count(items);
  if (progress.total_items != 0) line += " of " + short_count(static_cast<double>(progress.total_items));
  line += ", " + short_count(items / seconds) + "/s";
  if (progress.bytes != 0) line += ", " + short_bytes(bytes) + ", " + short_bytes(bytes / seconds) + "/s";
  const double total = static_cast<double>(progress.total_bytes ? progress.total_bytes : progress.total_items);
  const double done = progress.total_bytes ? bytes : items;
  if (total > 0 && done > 0) {
    const double left = std::max(0.0, total - done) * seconds / done;
    line += ", " + short_count(100 * std::min(1.0, done / total)) + " %, " + short_time(left) + " left";
  }
  write_all(2, line);
  progress_shown_ = true;
}

void Program::hide_progress() {
  if (progress_shown_) write_all(2, "\r\033[K");
  progress_shown_ = false;
}

int Program::exit_code() {
  std::lock_guard lock(speaking_);
  if (report_.is_wanted()) report_.tell_last();
  hide_progress();
  return failed_ ? kTrouble : 0;
}

void Output::write(std::string& text) {
  std::lock_guard lock(mutex_);
  write_all(1, text);
  text.clear();
}

void Output::flush() {
  for (Buffer& buffer : buffers_) {
    if (!buffer.text.empty()) write(buffer.text);
  }
}

}  // namespace madang::commands

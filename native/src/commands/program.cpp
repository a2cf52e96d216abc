#include "program.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
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
  const long whole = std::lround(seconds);
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
  } else if (whole >= 60) {
    std::snprintf(text, sizeof text, "%ld min %02ld s", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld s", whole);
  }
  return text;
}

bool needs_escape(unsigned char byte) { return byte < 0x20 || byte >= 0x7f; }

// Whether `text` is valid UTF-8 without control characters: printed as it is where the locale is UTF-8.
bool printable(std::string_view text) {
  std::mbstate_t state{};
  for (std::size_t at = 0; at < text.size();) {
    const unsigned char byte = text[at];
    if (byte < 0x80) {
      if (needs_escape(byte)) return false;
      ++at;
      continue;
    }
    const int length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 0;
    if (length == 0 || byte > 0xf4 || at + length > text.size()) return false;
    for (int i = 1; i < length; ++i) {
      if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return false;
    }
    at += length;
  }
  (void)state;
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
  for (const unsigned char byte : name) {
    const bool escape = needs_escape(byte) && !(byte >= 0x80 && printable(name));
    if (escape != escaping) {
      text += escape ? "'$'" : "''";
      escaping = escape;
    }
    if (byte == '\'') {
      text += "'\\''";
    } else if (!escape) {
      text += static_cast<char>(byte);
    } else {
      static constexpr std::string_view kLetters = "abtnvfr";
      char code[8];
      if (byte >= 7 && byte <= 13) {
        std::snprintf(code, sizeof code, "\\%c", kLetters[byte - 7]);
      } else {
        std::snprintf(code, sizeof code, "\\%03o", byte);
      }
      text += code;
    }
  }
  return text + "'";
}

void raise_descriptor_limit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

bool Program::take_common(int option, const char* value) {
  switch (option) {
    case kHelp:
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
      std::exit(kMisused);
    default:
      return false;
  }
}

void Program::misused(const std::string& what) const {
  std::fprintf(stderr, "%s: %s\nTry '%s --help' for more information.\n", name_, what.c_str(), name_);
  std::exit(kMisused);
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
  const std::string path = quoted(failure.path);
  complain(*failure.action ? std::string(failure.action) + " " + path + ": " + strerror(failure.error)
                           : path + ": " + strerror(failure.error));
}

void Program::complain(const std::string& what) {
  hide_progress();
  failed_ = true;
  write_all(2, std::string(name_) + ": " + what + "\n");
}

files::Run Program::run() {
  files::Run run;
  run.crew = crew_;
  run.failed = [this](const files::Failure& failure) { complain(failure); };
  started_ns_ = files::now_ns();
  if (show_progress_ == 1 || (show_progress_ == -1 && isatty(2))) {
    run.poll = [this](const files::Progress& progress) {
      show(progress);
      return false;
    };
  }
  return run;
}

void Program::show(const files::Progress& progress) {
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

#include "text.hpp"

#include <dirent.h>
#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <vector>

namespace madang::files {
namespace {

constexpr std::string_view kUnits = "KMGTPEZY";
// Since then all clocks of the world differ by whole minutes.
constexpr std::int64_t kWholeMinutesSince = 73'000'000;

__extension__ typedef unsigned __int128 Wide;

// ceil(value * times / unit)
std::uint64_t in_units(std::uint64_t value, unsigned times, Wide unit) {
  return static_cast<std::uint64_t>((static_cast<Wide>(value) * times + unit - 1) / unit);
}

void append_human(std::string& out, std::uint64_t bytes, unsigned step) {
  Wide unit = 1;
  int exponent = 0;
  while (bytes / step >= unit) {
    unit *= step;
    ++exponent;
  }
  if (exponent == 0) return append_number(out, bytes);
  const std::uint64_t tenths = in_units(bytes, 10, unit);
  if (tenths < 100) {
    append_number(out, tenths / 10);
    out.push_back('.');
    append_number(out, tenths % 10);
  } else {
    const std::uint64_t whole = in_units(bytes, 1, unit);
    if (whole == step) {  // 1023.9K is 1.0M
      out.append("1.0");
      ++exponent;
    } else {
      append_number(out, whole);
    }
  }
  out.push_back(step == 1000 && exponent == 1 ? 'k' : kUnits[exponent - 1]);
}

// Whether two times of the same minute look the same.
bool only_has_minutes(std::string_view format) {
  for (std::size_t at = 0; (at = format.find('%', at)) != std::string_view::npos; at += 2) {
    const std::string_view rest = format.substr(at + 1);
    if (rest.empty() || !std::strchr("aAbBCdDeFGgHIjklmMnpRtuUVwWyYzZ%", rest.front())) return false;
  }
  return true;
}

}  // namespace

void append_number(std::string& out, std::uint64_t number) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

void append_number(std::string& out, std::int64_t number) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

void append_right(std::string& out, std::string_view text, std::size_t width) {
  if (text.size() < width) out.append(width - text.size(), ' ');
  out.append(text);
}

void append_right(std::string& out, std::uint64_t number, std::size_t width) {
  char text[24];
  const char* end = std::to_chars(text, text + sizeof text, number).ptr;
  append_right(out, std::string_view(text, end - text), width);
}

void append_left(std::string& out, std::string_view text, std::size_t width) {
  out.append(text);
  if (text.size() < width) out.append(width - text.size(), ' ');
}

std::size_t digits(std::uint64_t number) {
  std::size_t count = 1;
  for (; number >= 10; number /= 10) ++count;
  return count;
}

void append_mode(std::string& out, unsigned mode) {
  static constexpr char kTypes[] = "?pc?d?b?-?l?s???";
  char text[10];
  text[0] = kTypes[(mode & S_IFMT) >> 12];
  for (int i = 0; i < 9; ++i) text[1 + i] = mode & (0400 >> i) ? "rwxrwxrwx"[i] : '-';
  if (mode & S_ISUID) text[3] = mode & S_IXUSR ? 's' : 'S';
  if (mode & S_ISGID) text[6] = mode & S_IXGRP ? 's' : 'S';
  if (mode & S_ISVTX) text[9] = mode & S_IXOTH ? 't' : 'T';
  out.append(text, sizeof text);
}

std::string_view type_name(unsigned char type) {
  switch (type) {
    case DT_REG: return "file";
    case DT_DIR: return "directory";
    case DT_LNK: return "symlink";
    case DT_FIFO: return "fifo";
    case DT_SOCK: return "socket";
    case DT_CHR: return "character device";
    case DT_BLK: return "block device";
    default: return "unknown";
  }
}

void append_size(std::string& out, std::uint64_t bytes, const SizeUnit& unit) {
  if (unit.is_human()) return append_human(out, bytes, unit.step);
  append_number(out, unit.bytes == 1 ? bytes : in_units(bytes, 1, unit.bytes));
  out.append(unit.suffix);
}

std::string size_text(std::uint64_t bytes, const SizeUnit& unit) {
  std::string text;
  append_size(text, bytes, unit);
  return text;
}

bool parse_size(std::string_view text, std::uint64_t& bytes) {
  std::uint64_t number = 1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool bare = end == text.data();  // a unit alone
  if (error == std::errc::result_out_of_range) return false;
  std::string_view unit(end, text.size() - (end - text.data()));
  if (unit.empty()) {
    bytes = number;
    return !bare;
  }
  std::size_t exponent;
  if (unit.front() == 'k') {
    exponent = 1;
  } else if (unit.front() == 'm') {
    exponent = 2;
  } else {
    exponent = kUnits.find(unit.front()) + 1;
  }
  if (exponent == 0 || exponent > 6) return false;
  unit.remove_prefix(1);
  if (!unit.empty() && unit != "B" && unit != "iB") return false;
  const std::uint64_t step = unit == "B" ? 1000 : 1024;
  for (std::size_t i = 0; i < exponent; ++i) {
    if (number > std::numeric_limits<std::uint64_t>::max() / step) return false;
    number *= step;
  }
  bytes = number;
  return true;
}

bool parse_size_unit(std::string_view text, SizeUnit& unit) {
  if (text == "human-readable" || text == "si") {
    unit = {0, text == "si" ? 1000u : 1024u, {}};
    return true;
  }
  std::uint64_t bytes = 0;
  if (!parse_size(text, bytes) || bytes == 0) return false;
  // "K" shows 4K, "1K" shows 4; the suffix lives as long as what it was parsed from.
  if (text == "k") text = "K";
  unit = {bytes, 1024, text.front() < '0' || text.front() > '9' ? text : std::string_view()};
  return true;
}

void append_time(std::string& out, const std::string& format, std::int64_t seconds, std::uint32_t nanoseconds) {
  const std::size_t fraction = format.find("%N");
  if (fraction != std::string::npos) {
    append_time(out, format.substr(0, fraction), seconds);
    const std::size_t width = digits(nanoseconds);
    out.append(9 - width, '0');
    append_number(out, std::uint64_t{nanoseconds});
    return append_time(out, format.substr(fraction + 2), seconds, nanoseconds);
  }
  const time_t time = seconds;
  tm local;
  if (format.empty()) return;
  if (!localtime_r(&time, &local)) return append_number(out, seconds);  // a year beyond counting
  char text[256];
  std::size_t length = strftime(text, sizeof text, format.c_str(), &local);
  if (length != 0) {
    out.append(text, length);
    return;
  }
  std::vector<char> large(4096);  // or it is empty, as %p may be
  length = strftime(large.data(), large.size(), format.c_str(), &local);
  out.append(large.data(), length);
}

TimeCache::TimeCache(std::string format)
    : format_(std::move(format)), keeps_(only_has_minutes(format_)) {}

void TimeCache::append(std::string& out, std::int64_t seconds, std::uint32_t nanoseconds) {
  if (!keeps_ || seconds < kWholeMinutesSince) return append_time(out, format_, seconds, nanoseconds);
  const std::int64_t minute = seconds / 60;
  Slot& slot = slots_[static_cast<std::uint64_t>(minute) % kSlots];
  if (slot.minute != minute) {
    slot.minute = minute;
    slot.text.clear();
    append_time(slot.text, format_, seconds);
  }
  out.append(slot.text);
}

const IdNames::Known& IdNames::look_up(std::uint32_t id) {
  std::lock_guard lock(mutex_);
  const auto [found, is_new] = known_.try_emplace(id);
  Known& known = found->second;
  if (!is_new) return known;
  std::vector<char> buffer(1024);
  for (int error = ERANGE; error == ERANGE && buffer.size() <= 16 << 20; buffer.resize(buffer.size() * 4)) {
    if (of_ == Of::users) {
      passwd entry;
      passwd* user = nullptr;
      error = getpwuid_r(id, &entry, buffer.data(), buffer.size(), &user);
      if (user) known = {user->pw_name, true};
    } else {
      group entry;
      group* found_group = nullptr;
      error = getgrgid_r(id, &entry, buffer.data(), buffer.size(), &found_group);
      if (found_group) known = {found_group->gr_name, true};
    }
  }
  if (!known.exists || numeric_) known.name = std::to_string(id);
  return known;
}

const std::string& IdNames::name(std::uint32_t id) { return look_up(id).name; }

bool IdNames::knows(std::uint32_t id) { return look_up(id).exists; }

}  // namespace madang::files

#include "find_format.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace madang::files {
namespace {

constexpr std::string_view kNumbers = "bdDGiknsU";
constexpr std::string_view kTimes = "ABCT";

unsigned mask_of(char directive) {
  switch (directive) {
    case 'a': case 'A': return STATX_ATIME;
    case 'B': return STATX_BTIME;
    case 'c': case 'C': return STATX_CTIME;
    case 't': case 'T': return STATX_MTIME;
    case 'b': case 'k': return STATX_BLOCKS;
    case 'S': return STATX_BLOCKS | STATX_SIZE;
    case 'g': case 'G': return STATX_GID;
    case 'u': case 'U': return STATX_UID;
    case 'i': return STATX_INO;
    case 'm': case 'M': return STATX_MODE | STATX_TYPE;
    case 'n': return STATX_NLINK;
    case 's': return STATX_SIZE;
    default: return 0;
  }
}

const statx_timestamp& time_of(const struct statx& status, char directive) {
  switch (directive) {
    case 'a': case 'A': return status.stx_atime;
    case 'B': return status.stx_btime;
    case 'c': case 'C': return status.stx_ctime;
    default: return status.stx_mtime;
  }
}

std::string fraction(const statx_timestamp& time) {
  const std::string digits = std::to_string(time.tv_nsec);
  return "." + std::string(9 - digits.size(), '0') + digits + "0";  // ten digits, as find has it
}

void append_part_of_time(std::string& out, char detail, const statx_timestamp& time) {
  switch (detail) {
    case '@':
      append_number(out, std::int64_t{time.tv_sec});
      out.append(fraction(time));
      break;
    case '+':
      append_time(out, "%Y-%m-%d+%H:%M:%S", time.tv_sec);
      out.append(fraction(time));
      break;
    case 'S': case 'T': case 'X':
      append_time(out, std::string("%") + detail, time.tv_sec);
      out.append(fraction(time));
      break;
    default:
      append_time(out, std::string("%") + detail, time.tv_sec);
  }
}

char letter_of(unsigned char type) {
  static constexpr char kLetters[] = "Upc?d?b?f?l?s???";
  return kLetters[type & 15];
}

char letter_of_target(Found& found) {
  int error = 0;
  const unsigned char type = found.target_type(error);
  if (error == 0) return letter_of(type);
  return error == ENOENT || error == ENOTDIR ? 'N' : error == ELOOP ? 'L' : '?';
}

// Of what the search was given: from the last slash on that something comes before, as find has it.
std::string_view last_part(std::string_view root) {
  std::size_t end = root.size();
  while (end > 1 && root[end - 1] == '/') --end;
  const std::size_t slash = root.rfind('/', end - 1);
  return slash == std::string_view::npos || end == 1 ? root : root.substr(slash + 1);
}

std::string_view folder(Found& found) {
  const std::string_view path = found.path();
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return path.substr(0, slash);
}

}  // namespace

Format::Format(std::string_view format, Expression& expression) {
  Part part;
  for (std::size_t at = 0; at < format.size() && !stops_;) {
    if (format[at] == '\\' && at + 1 < format.size()) {
      at = read_escape(format, at + 1, part.text);
    } else if (format[at] == '%' && at + 1 < format.size()) {
      at = read_directive(format, at + 1, part, expression);
      parts_.push_back(std::move(part));
      part = Part();
    } else {
      part.text.push_back(format[at++]);
    }
  }
  parts_.push_back(std::move(part));
}

std::size_t Format::read_escape(std::string_view format, std::size_t at, std::string& text) {
  static constexpr std::string_view kLetters = "abfnrtv\\";
  static constexpr std::string_view kBytes = "\a\b\f\n\r\t\v\\";
  const char letter = format[at];
  if (letter == 'c') {
    stops_ = true;
    return at + 1;
  }
  if (letter >= '0' && letter <= '7') {
    unsigned code = 0;
    const std::size_t end = std::min(format.size(), at + 3);
    for (; at < end && format[at] >= '0' && format[at] <= '7'; ++at) code = code * 8 + (format[at] - '0');
    text.push_back(static_cast<char>(code));
    return at;
  }
  const std::size_t known = kLetters.find(letter);
  if (known == std::string_view::npos) {
    text.append({'\\', letter});
  } else {
    text.push_back(kBytes[known]);
  }
  return at + 1;
}

std::size_t Format::read_directive(std::string_view format, std::size_t at, Part& part, Expression& expression) {
  const std::size_t begin = at;
  const auto number = [&] {
    std::size_t value = 0;
    for (; at < format.size() && format[at] >= '0' && format[at] <= '9'; ++at) {
      value = std::min<std::size_t>(value * 10 + (format[at] - '0'), 4096);
    }
    return value;
  };
  for (; at < format.size() && std::strchr("-+ #0", format[at]); ++at) {
    switch (format[at]) {
      case '-': part.left = true; break;
      case '+': part.plus = true; break;
      case ' ': part.blank = true; break;
      case '#': part.sharp = true; break;
      default: part.zeros = true;
    }
  }
  part.width = number();
  if (at < format.size() && format[at] == '.') {
    ++at;
    part.precision = number();
  }
  const auto unknown = [&] {
    return Misunderstood("-printf does not know '%" + std::string(format.substr(begin, at + 1 - begin)) + "'");
  };
  if (at == format.size()) throw unknown();
  part.directive = format[at];
  if (!std::strchr("%pPfhHdabcDgGiklmMnsStuUyYABCT", part.directive)) throw unknown();
  if (kTimes.find(part.directive) != std::string_view::npos) {
    if (++at == format.size()) throw unknown();
    part.detail = format[at];
  }
  expression.mask |= mask_of(part.directive);
  return at + 1;
}

void Format::append(std::string& out, Found& found) const {
  std::string value;
  for (const Part& part : parts_) {
    out.append(part.text);
    if (part.directive == 0) continue;
    if (part.width == 0 && part.precision == std::string::npos && !part.sharp && !part.plus && !part.blank) {
      append_value(out, part, found);
      continue;
    }
    value.clear();
    append_value(value, part, found);
    const bool number = kNumbers.find(part.directive) != std::string_view::npos || part.directive == 'm';
    if (!number && part.precision < value.size()) value.resize(part.precision);
    if (part.sharp && part.directive == 'm' && value != "0") value.insert(0, "0");
    if (part.directive == 'd' && part.plus) value.insert(0, "+");
    const std::size_t pad = part.width - std::min(part.width, value.size());
    if (part.left) {
      out.append(value).append(pad, ' ');
    } else {
      out.append(pad, part.zeros && number ? '0' : ' ').append(value);
    }
  }
}

void Format::append_value(std::string& out, const Part& part, Found& found) const {
  switch (part.directive) {
    case '%': out.push_back('%'); return;
    case 'p': found.append_path(out); return;
    case 'P': out.append(found.beneath_root()); return;
    case 'f': out.append(found.is_root() ? last_part(found.entry().view()) : found.entry().view()); return;
    case 'h': out.append(folder(found)); return;
    case 'H': out.append(found.root()); return;
    case 'd': append_number(out, std::uint64_t{found.depth()}); return;
    case 'y': out.push_back(letter_of(found.type())); return;
    case 'Y': out.push_back(letter_of_target(found)); return;
    case 'l':
      if (found.type() == DT_LNK) out.append(found.link());
      return;
    default: break;
  }
  const struct statx* status = found.status();
  if (!status) return;
  switch (part.directive) {
    case 'a': case 'c': case 't': {
      const statx_timestamp& time = time_of(*status, part.directive);
      append_time(out, "%a %b %e %H:%M:%S", time.tv_sec);
      out.append(fraction(time));
      append_time(out, " %Y", time.tv_sec);
      return;
    }
    case 'A': case 'B': case 'C': case 'T':
      append_part_of_time(out, part.detail, time_of(*status, part.directive));
      return;
    case 'b': append_number(out, std::uint64_t{status->stx_blocks}); return;
    case 'k': append_number(out, (std::uint64_t{status->stx_blocks} + 1) / 2); return;
    case 'D': append_number(out, std::uint64_t{makedev(status->stx_dev_major, status->stx_dev_minor)}); return;
    case 'g': out.append(found.search().groups.name(status->stx_gid)); return;
    case 'G': append_number(out, std::uint64_t{status->stx_gid}); return;
    case 'u': out.append(found.search().users.name(status->stx_uid)); return;
    case 'U': append_number(out, std::uint64_t{status->stx_uid}); return;
    case 'i': append_number(out, std::uint64_t{status->stx_ino}); return;
    case 'n': append_number(out, std::uint64_t{status->stx_nlink}); return;
    case 's': append_number(out, std::uint64_t{status->stx_size}); return;
    case 'M': append_mode(out, status->stx_mode); return;
    case 'm': {
      char text[8];
      out.append(text, std::snprintf(text, sizeof text, "%o", status->stx_mode & 07777u));
      return;
    }
    case 'S': {
      char text[32];
      const double size = static_cast<double>(status->stx_size);
      const double used = 512.0 * static_cast<double>(status->stx_blocks);
      const double ratio = size > 0 ? used / size : used > 0 ? HUGE_VAL : 1.0;
      out.append(text, std::snprintf(text, sizeof text, "%g", ratio));
      return;
    }
    default: return;
  }
}

}  // namespace madang::files

#include <algorithm>
#include <charconv>
#include <cstring>

#include "tar_format.hpp"

namespace madang::files::tar {
namespace {

std::string text_of(const char* field, std::size_t length) {
  return std::string(field, strnlen(field, length));
}

bool parse_decimal(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool parse_time(std::string_view text, std::int64_t& seconds, unsigned& nanoseconds) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  const std::size_t point = std::min(text.find('.'), text.size());
  std::uint64_t whole = 0;
  if (!parse_decimal(text.substr(0, point), whole) || whole > INT64_MAX / 2) return false;
  unsigned fraction = 0, scale = 100'000'000;
  for (std::size_t i = point + 1; i < text.size(); ++i, scale /= 10) {
    if (text[i] < '0' || text[i] > '9') return false;
    fraction += scale * static_cast<unsigned>(text[i] - '0');
  }
  seconds = static_cast<std::int64_t>(whole);
  nanoseconds = fraction;
  if (negative) {
    seconds = -seconds;
    if (fraction != 0) {
      --seconds;
      nanoseconds = 1'000'000'000 - fraction;
    }
  }
  return true;
}

bool parse_map_record(std::string_view text, std::vector<Segment>& segments) {
  segments.clear();
  bool is_offset = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::uint64_t number = 0;
    if (!parse_decimal(text.substr(0, end), number)) return false;
    if (is_offset) {
      segments.push_back({number, 0});
    } else {
      segments.back().length = number;
    }
    is_offset = !is_offset;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return is_offset;
}

std::string decoded_key(std::string_view key) {
  std::string name;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key.substr(i, 3) == "%25" || key.substr(i, 3) == "%3D") {
      name += key[i + 2] == '5' ? '%' : '=';
      i += 2;
    } else {
      name += key[i];
    }
  }
  return name;
}

constexpr std::string_view kXattr = "SCHILY.xattr.";

}  // namespace

bool parse_number(const char* field, std::size_t length, std::int64_t& number) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(field);
  if (bytes[0] & 0x80) {  // binary, most significant byte first, two's complement
    const bool negative = bytes[0] & 0x40;
    std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
    for (std::size_t i = 0; i < length; ++i) {
      const unsigned char byte = i != 0 ? bytes[i] : negative ? bytes[0] : bytes[0] & 0x7f;
      const std::uint64_t top = value >> 55;
      if (top != 0 && top != 0x1ff) return false;  // more than 64 bits
      value = value << 8 | byte;
    }
    number = static_cast<std::int64_t>(value);
    return (number < 0) == negative;
  }
  std::size_t at = 0;
  while (at < length && bytes[at] == ' ') ++at;
  std::uint64_t value = 0;
  for (; at < length && bytes[at] != '\0' && bytes[at] != ' '; ++at) {
    if (bytes[at] < '0' || bytes[at] > '7' || value >> 60 != 0) return false;
    value = value * 8 + (bytes[at] - '0');
  }
  number = static_cast<std::int64_t>(value);
  return true;
}

Parsed parse_header(const char* block, Header& header) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(block);
  if (std::all_of(bytes, bytes + kBlock, [](unsigned char byte) { return byte == 0; })) return Parsed::zeros;
  std::int64_t checksum = 0, sum = 0, signed_sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool blank = i >= 148 && i < 156;
    sum += blank ? ' ' : bytes[i];
    signed_sum += blank ? ' ' : static_cast<signed char>(block[i]);  // of very old programs
  }
  if (!parse_number(block + 148, 8, checksum) || (checksum != sum && checksum != signed_sum)) return Parsed::damaged;

  header = Header();
  Member& member = header.member;
  std::int64_t mode, uid, gid, size, mtime, major = 0, minor = 0;
  if (!parse_number(block + 100, 8, mode) || !parse_number(block + 108, 8, uid) ||
      !parse_number(block + 116, 8, gid) || !parse_number(block + 124, 12, size) ||
      !parse_number(block + 136, 12, mtime) || size < 0) {
    return Parsed::damaged;
  }
  const bool posix = std::memcmp(block + 257, "ustar\0", 6) == 0;
  const bool gnu = std::memcmp(block + 257, "ustar  ", 7) == 0;
  member.name = text_of(block, 100);
  if (posix && block[345] != '\0') member.name = text_of(block + 345, 155) + "/" + member.name;
  member.mode = static_cast<unsigned>(mode & 07777);
  member.uid = static_cast<std::uint64_t>(std::max<std::int64_t>(uid, 0));
  member.gid = static_cast<std::uint64_t>(std::max<std::int64_t>(gid, 0));
  member.mtime_s = mtime;
  member.link = text_of(block + 157, 100);
  if (posix || gnu) {
    member.user = text_of(block + 265, 32);
    member.group = text_of(block + 297, 32);
    if (!parse_number(block + 329, 8, major) || !parse_number(block + 337, 8, minor)) return Parsed::damaged;
    member.device_major = static_cast<unsigned>(major);
    member.device_minor = static_cast<unsigned>(minor);
  }
  header.type = block[156];
  member.type = header.type;
  header.stored = static_cast<std::uint64_t>(size);
  // Of links and directories some programs say a size, and nothing follows.
  if (header.type >= '1' && header.type <= '6') header.stored = 0;
  if (header.type == '\0' || header.type == '7' || header.type == 'S') member.type = kFile;
  if (member.type == kFile && !member.name.empty() && member.name.back() == '/') member.type = kDirectory;
  member.size = member.type == kFile ? header.stored : 0;
  return Parsed::header;
}

bool parse_records(std::string_view text, Records& records) {
  while (!text.empty() && text[0] != '\0') {
    const std::size_t space = text.find(' ');
    std::uint64_t length = 0;
    if (space == std::string_view::npos || !parse_decimal(text.substr(0, space), length)) return false;
    if (length > text.size() || length < space + 3 || text[length - 1] != '\n') return false;
    const std::string_view record = text.substr(space + 1, length - space - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) return false;
    const std::string key(record.substr(0, equals));
    std::string value(record.substr(equals + 1));
    if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes") {  // of pax 0.0: one after another
      std::string& map = records["GNU.sparse.map"];
      map += (map.empty() ? "" : ",") + value;
    } else {
      records[key] = std::move(value);
    }
    text.remove_prefix(length);
  }
  return true;
}

bool apply_records(const Records& records, Header& header) {
  Member& member = header.member;
  std::string sparse_name;
  bool sparse = false;
  std::uint64_t major = 0, real_size = 0;
  bool has_real_size = false;
  for (const auto& [key, value] : records) {
    bool fine = true;
    if (key == "path") {
      member.name = value;
    } else if (key == "linkpath") {
      member.link = value;
    } else if (key == "size") {
      std::uint64_t size = 0;
      fine = parse_decimal(value, size) && size <= INT64_MAX;
      if (fine && !(header.type >= '1' && header.type <= '6')) {
        header.stored = size;
        if (member.type == kFile) member.size = size;
      }
    } else if (key == "mtime") {
      fine = parse_time(value, member.mtime_s, member.mtime_ns);
    } else if (key == "uid") {
      fine = parse_decimal(value, member.uid);
    } else if (key == "gid") {
      fine = parse_decimal(value, member.gid);
    } else if (key == "uname") {
      member.user = value;
    } else if (key == "gname") {
      member.group = value;
    } else if (key == "GNU.sparse.name") {
      sparse_name = value;
    } else if (key == "GNU.sparse.major") {
      sparse = true;
      fine = parse_decimal(value, major);
    } else if (key == "GNU.sparse.realsize" || key == "GNU.sparse.size") {
      has_real_size = true;
      fine = parse_decimal(value, real_size) && real_size <= INT64_MAX;
    } else if (key == "GNU.sparse.map") {
      sparse = true;
      fine = parse_map_record(value, member.segments);
    } else if (key == kAccessAcl || key == kDefaultAcl) {
      member.attributes.emplace_back(key, value);
    } else if (key.rfind(kXattr, 0) == 0) {
      member.attributes.emplace_back(decoded_key(std::string_view(key).substr(kXattr.size())), value);
    }
    if (!fine) return false;
  }
  if (!sparse_name.empty()) member.name = sparse_name;
  if (sparse && member.type == kFile) {
    if (!has_real_size || (major == 0 && member.segments.empty() && header.stored != 0)) return false;
    member.sparse = true;
    member.size = real_size;
  }
  // Not known when the header was parsed: the name.
  if (member.type == kFile && !member.name.empty() && member.name.back() == '/') {
    member.type = kDirectory;
    member.size = 0;
  }
  return member.name.find('\0') == std::string::npos && member.link.find('\0') == std::string::npos;
}

int parse_sparse_map(std::string_view text, std::vector<Segment>& segments, std::size_t& used) {
  segments.clear();
  std::size_t at = 0;
  const auto next = [&](std::uint64_t& number) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return text.size() - at > 20 ? -1 : 1;
    if (!parse_decimal(text.substr(at, end - at), number)) return -1;
    at = end + 1;
    return 0;
  };
  std::uint64_t count = 0;
  if (const int result = next(count); result != 0) return result;
  if (count > 1'000'000'000) return -1;
  for (std::uint64_t i = 0; i < count; ++i) {
    Segment segment{};
    if (const int result = next(segment.offset); result != 0) return result;
    if (const int result = next(segment.length); result != 0) return result;
    segments.push_back(segment);
  }
  used = static_cast<std::size_t>(padded(at));
  return used <= text.size() ? 0 : 1;
}

bool segments_fit(const std::vector<Segment>& segments, std::uint64_t size, std::uint64_t stored) {
  std::uint64_t end = 0, sum = 0;
  for (const Segment& segment : segments) {
    if (segment.offset < end || segment.length > size || segment.offset > size - segment.length) return false;
    end = segment.offset + segment.length;
    sum += segment.length;
  }
  return sum == stored;
}

}  // namespace madang::files::tar

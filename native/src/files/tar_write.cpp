#include <cstdio>
#include <cstring>

#include "tar_format.hpp"
#include "utf8.hpp"

namespace madang::files::tar {
namespace {

struct Raw {  // as on the tape
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[8];
  char user[32];
  char group[32];
  char device_major[8];
  char device_minor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(Raw) == kBlock);

constexpr std::uint64_t kMost7Digits = 07777777;
constexpr std::uint64_t kMost11Digits = 077777777777;

template <std::size_t N>
void put_octal(char (&field)[N], std::uint64_t number) {
  for (std::size_t i = N - 1; i-- > 0; number >>= 3) field[i] = static_cast<char>('0' + (number & 7));
}

template <std::size_t N>
void put_text(char (&field)[N], std::string_view text) {
  std::memcpy(field, text.data(), std::min(N, text.size()));
}

void put_checksum(Raw& raw) {
  std::memset(raw.checksum, ' ', sizeof raw.checksum);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&raw);
  unsigned sum = 0;
  for (std::size_t i = 0; i < sizeof raw; ++i) sum += bytes[i];
  for (int i = 5; i >= 0; --i, sum >>= 3) raw.checksum[i] = static_cast<char>('0' + (sum & 7));
  raw.checksum[6] = '\0';
}

// Puts a name into the header, split before a slash where it is long; false when it doesn't fit.
bool put_name(Raw& raw, std::string_view name) {
  if (name.size() <= sizeof raw.name) {
    put_text(raw.name, name);
    return true;
  }
  if (name.size() > sizeof raw.prefix + 1 + sizeof raw.name) return false;
  const std::size_t slash = name.find('/', name.size() - 1 - sizeof raw.name);
  if (slash == std::string_view::npos || slash == 0 || slash > sizeof raw.prefix ||
      slash + 1 == name.size()) {
    return false;
  }
  put_text(raw.prefix, name.substr(0, slash));
  put_text(raw.name, name.substr(slash + 1));
  return true;
}

// "LENGTH KEY=VALUE\n", where LENGTH counts its own digits too.
void add_record(std::string& out, std::string_view key, std::string_view value) {
  const std::size_t rest = 1 + key.size() + 1 + value.size() + 1;
  std::size_t length = rest + 1;
  while (rest + std::to_string(length).size() != length) length = rest + std::to_string(length).size();
  out += std::to_string(length);
  out += ' ';
  out += key;
  out += '=';
  out += value;
  out += '\n';
}

std::string decimal_time(std::int64_t seconds, unsigned nanoseconds) {
  std::string sign;
  std::uint64_t whole = static_cast<std::uint64_t>(seconds);
  if (seconds < 0) {  // -1 s + 0.25 s is -0.75
    sign = "-";
    whole = static_cast<std::uint64_t>(-seconds);
    if (nanoseconds != 0) {
      --whole;
      nanoseconds = 1'000'000'000 - nanoseconds;
    }
  }
  char text[48];
  int length = std::snprintf(text, sizeof text, "%s%llu", sign.c_str(), static_cast<unsigned long long>(whole));
  if (nanoseconds != 0) {
    length += std::snprintf(text + length, sizeof text - length, ".%09u", nanoseconds);
    while (text[length - 1] == '0') --length;
  }
  return std::string(text, static_cast<std::size_t>(length));
}

// GNU's tar wants '%' and '=' of an attribute's name encoded.
std::string encoded_key(std::string_view name) {
  std::string key;
  for (const char c : name) {
    if (c == '%') {
      key += "%25";
    } else if (c == '=') {
      key += "%3D";
    } else {
      key += c;
    }
  }
  return key;
}

std::string sparse_map(const Member& member) {
  std::string map = std::to_string(member.segments.size()) + "\n";
  for (const Segment& segment : member.segments) {
    map += std::to_string(segment.offset) + "\n" + std::to_string(segment.length) + "\n";
  }
  map.resize(padded(map.size()), '\0');
  return map;
}

std::string_view directory_of(std::string_view name) {
  while (!name.empty() && name.back() == '/') name.remove_suffix(1);
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? "." : name.substr(0, slash);
}

std::string_view last_of(std::string_view name) {
  while (!name.empty() && name.back() == '/') name.remove_suffix(1);
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

void append_block(std::string& out, Raw& raw) {
  put_checksum(raw);
  out.append(reinterpret_cast<const char*>(&raw), sizeof raw);
}

// A header whose content are the records.
void append_records(const Member& member, const std::string& records, std::string& out) {
  Raw raw{};
  // What an old program that knows no pax headers would make of it.
  const std::string name = "PaxHeaders/" + std::string(last_of(member.name).substr(0, 88));
  put_text(raw.name, name);
  put_octal(raw.mode, 0644);
  put_octal(raw.uid, 0);
  put_octal(raw.gid, 0);
  put_octal(raw.size, records.size());
  put_octal(raw.mtime, 0);
  raw.type = 'x';
  std::memcpy(raw.magic, "ustar\00000", 8);
  append_block(out, raw);
  out += records;
  out.resize(out.size() + padded(records.size()) - records.size(), '\0');
}

bool plain(std::string_view text) { return is_ascii(text); }

}  // namespace

std::uint64_t stored_size(const Member& member) {
  if (member.type != kFile) return 0;
  if (!member.sparse) return member.size;
  std::uint64_t sum = 0;
  for (const Segment& segment : member.segments) sum += segment.length;
  return sum;
}

void write_headers(const Member& member, std::string& out) {
  Raw raw{};
  std::string records;
  std::string shown = member.name;
  std::string map;
  std::uint64_t size = stored_size(member);
  if (member.sparse) {
    map = sparse_map(member);
    size += map.size();
    add_record(records, "GNU.sparse.major", "1");
    add_record(records, "GNU.sparse.minor", "0");
    add_record(records, "GNU.sparse.name", member.name);
    add_record(records, "GNU.sparse.realsize", std::to_string(member.size));
    shown = std::string(directory_of(member.name)) + "/GNUSparseFile.0/" +
            std::string(last_of(member.name));
  }
  const bool name_fits = put_name(raw, shown);
  if (!name_fits) put_text(raw.name, std::string_view(shown).substr(0, sizeof raw.name));
  const bool link_fits = member.link.size() <= sizeof raw.link;
  put_text(raw.link, member.link);
  // Names that are not UTF-8 can't be in a pax record as it should be; they are there as they are,
  // and only where the header has no room for them.
  const bool name_recorded = !name_fits || (!plain(shown) && is_utf8(shown));
  const bool link_recorded = !link_fits || (!plain(member.link) && is_utf8(member.link));
  if ((name_recorded && !is_utf8(shown)) || (link_recorded && !is_utf8(member.link))) {
    add_record(records, "hdrcharset", "BINARY");
  }
  if (name_recorded) add_record(records, "path", shown);
  if (link_recorded) add_record(records, "linkpath", member.link);

  put_octal(raw.mode, member.mode & 07777);
  put_octal(raw.uid, member.uid <= kMost7Digits ? member.uid : 0);
  if (member.uid > kMost7Digits) add_record(records, "uid", std::to_string(member.uid));
  put_octal(raw.gid, member.gid <= kMost7Digits ? member.gid : 0);
  if (member.gid > kMost7Digits) add_record(records, "gid", std::to_string(member.gid));
  put_octal(raw.size, size <= kMost11Digits ? size : 0);
  if (size > kMost11Digits) add_record(records, "size", std::to_string(size));
  const bool old = member.mtime_s < 0 || static_cast<std::uint64_t>(member.mtime_s) > kMost11Digits;
  put_octal(raw.mtime, old ? 0 : static_cast<std::uint64_t>(member.mtime_s));
  if (old || member.mtime_ns != 0) {
    add_record(records, "mtime", decimal_time(member.mtime_s, member.mtime_ns));
  }
  const auto put_owner = [&](auto& field, std::string_view key, std::string_view name) {
    const bool fits = name.size() < sizeof field;
    put_text(field, fits ? name : name.substr(0, sizeof field - 1));
    if (!fits || !plain(name)) add_record(records, key, name);
  };
  put_owner(raw.user, "uname", member.user);
  put_owner(raw.group, "gname", member.group);
  put_octal(raw.device_major, member.device_major);
  put_octal(raw.device_minor, member.device_minor);
  for (const auto& [name, value] : member.attributes) {
    const bool acl = name == kAccessAcl || name == kDefaultAcl;
    add_record(records, acl ? name : "SCHILY.xattr." + encoded_key(name), value);
  }
  raw.type = member.type;
  std::memcpy(raw.magic, "ustar\00000", 8);
  if (!records.empty()) append_records(member, records, out);
  append_block(out, raw);
  out += map;
}

}  // namespace madang::files::tar

#include "acl_text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace madang::files {
namespace {

// The kernel's form (linux/posix_acl_xattr.h), little-endian.
constexpr std::uint32_t kVersion = 2;
enum Tag : std::uint16_t { kUserObject = 1, kUser = 2, kGroupObject = 4, kGroup = 8, kMask = 16, kOther = 32 };
constexpr std::uint32_t kNobody = 0xffffffff;

struct Entry {
  std::uint16_t tag;
  std::uint16_t permissions;
  std::uint32_t id;
};
static_assert(sizeof(Entry) == 8);

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find_first_of(separators);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  if (const std::size_t comment = text.find('#'); comment != std::string_view::npos) text = text.substr(0, comment);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\0')) text.remove_suffix(1);
  return text;
}

bool parse_entry(std::string_view text, Entry& entry,
                 const std::function<long(const std::string&, bool)>& id_of) {
  const std::vector<std::string_view> parts = split(text, ":");
  // A fourth part is the number, as star writes it.
  if (parts.size() < 3 || parts.size() > 4 || parts[0].empty()) return false;
  const char kind = parts[0][0];
  const bool named = !parts[1].empty();
  entry.id = kNobody;
  switch (kind) {
    case 'u': entry.tag = named ? kUser : kUserObject; break;
    case 'g': entry.tag = named ? kGroup : kGroupObject; break;
    case 'm': entry.tag = kMask; break;
    case 'o': entry.tag = kOther; break;
    default: return false;
  }
  if (named) {
    const long id = id_of(std::string(parts[1]), kind == 'u');
    if (id < 0) return false;
    entry.id = static_cast<std::uint32_t>(id);
  }
  entry.permissions = 0;
  for (const char c : parts[2]) {
    if (c == 'r') entry.permissions |= 4;
    else if (c == 'w') entry.permissions |= 2;
    else if (c == 'x') entry.permissions |= 1;
    else if (c != '-') return false;
  }
  return true;
}

}  // namespace

std::string acl_to_text(std::string_view value,
                        const std::function<std::string(unsigned, bool)>& name_of) {
  std::uint32_t version = 0;
  if (value.size() < sizeof version || (value.size() - sizeof version) % sizeof(Entry) != 0) return "";
  std::memcpy(&version, value.data(), sizeof version);
  if (version != kVersion) return "";
  std::string text;
  for (std::size_t at = sizeof version; at < value.size(); at += sizeof(Entry)) {
    Entry entry;
    std::memcpy(&entry, value.data() + at, sizeof entry);
    const bool user = entry.tag == kUser || entry.tag == kUserObject;
    if (!text.empty()) text += ',';
    text += user ? "user:" : entry.tag == kMask ? "mask:" : entry.tag == kOther ? "other:" : "group:";
    if (entry.tag == kUser || entry.tag == kGroup) {
      const std::string name = name_of(entry.id, user);
      text += name.empty() ? std::to_string(entry.id) : name;
    }
    text += ':';
    text += entry.permissions & 4 ? 'r' : '-';
    text += entry.permissions & 2 ? 'w' : '-';
    text += entry.permissions & 1 ? 'x' : '-';
  }
  return text;
}

std::string acl_from_text(std::string_view text,
                          const std::function<long(const std::string&, bool)>& id_of) {
  std::vector<Entry> entries;
  for (std::string_view part : split(text, ",\n")) {
    part = trimmed(part);
    if (part.empty()) continue;
    Entry entry;
    if (!parse_entry(part, entry, id_of)) return "";
    entries.push_back(entry);
  }
  if (entries.empty()) return "";
  // The kernel wants them by kind and number.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.tag != b.tag ? a.tag < b.tag : a.id < b.id;
  });
  std::string value(reinterpret_cast<const char*>(&kVersion), sizeof kVersion);
  value.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry));
  return value;
}

}  // namespace madang::files

#include "member_text.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "../files/utf8.hpp"
#include "program.hpp"

namespace madang::commands {
namespace {

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (!value || !*value) continue;
    return std::strstr(value, "UTF-8") || std::strstr(value, "utf8") || std::strstr(value, "utf-8");
  }
  return false;
}

}  // namespace

std::string escaped(std::string_view name) {
  static const bool utf8 = locale_is_utf8();
  std::string text;
  while (!name.empty()) {
    std::size_t length = 1;
    const unsigned char byte = name[0];
    if (byte >= 0xc2) {
      length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      if (length > name.size() || !utf8 || !files::is_utf8(name.substr(0, length))) length = 1;
    }
    if (length > 1 || (byte >= 0x20 && byte < 0x7f && byte != '\\')) {
      text += name.substr(0, length);
    } else if (byte == '\\') {
      text += "\\\\";
    } else {
      static constexpr std::string_view kNamed = "abtnvfr";
      char code[8];
      if (byte >= 7 && byte <= 13) {
        std::snprintf(code, sizeof code, "\\%c", kNamed[byte - 7]);
      } else {
        std::snprintf(code, sizeof code, "\\%03o", byte);
      }
      text += code;
    }
    name.remove_prefix(length);
  }
  return text;
}

std::string MemberLines::line(const files::tar::Member& member, bool numeric_owner) {
  namespace tar = files::tar;
  std::string text;
  text += member.type == tar::kDirectory ? 'd'
          : member.type == tar::kSymbolicLink ? 'l'
          : member.type == tar::kHardLink ? 'h'
          : member.type == tar::kFifo ? 'p'
          : member.type == tar::kBlockDevice ? 'b'
          : member.type == tar::kCharacterDevice ? 'c'
                                                 : '-';
  static constexpr std::string_view kBits = "rwxrwxrwx";
  for (int i = 0; i < 9; ++i) text += member.mode & (0400u >> i) ? kBits[static_cast<std::size_t>(i)] : '-';
  if (member.mode & 04000) text[3] = text[3] == 'x' ? 's' : 'S';
  if (member.mode & 02000) text[6] = text[6] == 'x' ? 's' : 'S';
  if (member.mode & 01000) text[9] = text[9] == 'x' ? 't' : 'T';
  const bool user_number = numeric_owner || member.user.empty();
  const bool group_number = numeric_owner || member.group.empty();
  const std::string owners = (user_number ? std::to_string(member.uid) : member.user) + "/" +
                             (group_number ? std::to_string(member.gid) : member.group);
  const bool device = member.type == tar::kBlockDevice || member.type == tar::kCharacterDevice;
  const std::string size = device ? std::to_string(member.device_major) + "," + std::to_string(member.device_minor)
                                  : std::to_string(member.size);
  width_ = std::max(width_, owners.size() + 1 + size.size());
  text += " " + owners + std::string(width_ - owners.size() - size.size(), ' ') + size;
  const std::time_t when = static_cast<std::time_t>(member.mtime_s);
  std::tm parts{};
  char date[64] = "";
  if (localtime_r(&when, &parts)) std::strftime(date, sizeof date, " %Y-%m-%d %H:%M ", &parts);
  text += *date ? date : " " + std::to_string(member.mtime_s) + " ";
  text += escaped(member.name);
  if (member.type == tar::kSymbolicLink) text += " -> " + escaped(member.link);
  if (member.type == tar::kHardLink) text += " link to " + escaped(member.link);
  return text;
}

std::string json_of(const files::tar::Member& member) {
  namespace tar = files::tar;
  const char* type = member.type == tar::kDirectory ? "directory"
                     : member.type == tar::kSymbolicLink ? "symlink"
                     : member.type == tar::kHardLink ? "link"
                     : member.type == tar::kFifo ? "fifo"
                     : member.type == tar::kBlockDevice || member.type == tar::kCharacterDevice ? "device"
                                                                                             : "file";
  std::string text = "\"name\": " + json_string(member.name) + ", \"type\": \"" + type + "\", \"bytes\": " +
                     std::to_string(member.size);
  if (!member.link.empty()) text += ", \"link\": " + json_string(member.link);
  return text;
}

}  // namespace madang::commands

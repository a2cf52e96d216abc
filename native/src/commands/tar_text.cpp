#include "tar_text.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../files/utf8.hpp"

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

}  // namespace madang::commands

// Whether bytes are text.
#pragma once

#include <cstddef>
#include <string_view>

namespace madang::files {

inline bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

inline bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    const unsigned char first = bytes[at];
    const std::size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0 || length > text.size() - at) return false;
    for (std::size_t i = 1; i < length; ++i) {
      if ((bytes[at + i] & 0xc0) != 0x80) return false;
    }
    if (length > 2) {  // too long a form, surrogates, beyond the last character
      const unsigned char second = bytes[at + 1];
      if (first == 0xe0 && second < 0xa0) return false;
      if (first == 0xed && second >= 0xa0) return false;
      if (first == 0xf0 && second < 0x90) return false;
      if (first == 0xf4 && second >= 0x90) return false;
    }
    at += length;
  }
  return true;
}

}  // namespace madang::files

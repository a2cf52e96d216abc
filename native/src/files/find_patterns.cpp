#include "find_patterns.hpp"

#include <fnmatch.h>
#include <regex.h>

#include <cctype>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "find_expression.hpp"

namespace madang::files {

Pattern::Pattern(std::string pattern, bool ignore_case) : pattern_(std::move(pattern)) {
  flags_ = ignore_case ? FNM_CASEFOLD : 0;
  std::string_view text = pattern_;
  const bool star_before = text.starts_with('*');
  if (star_before) text.remove_prefix(1);
  const bool star_after = text.ends_with('*');
  if (star_after) text.remove_suffix(1);
  if (ignore_case || text.find_first_of("*?[\\") != std::string_view::npos) return;
  literal_ = text;
  kind_ = star_before && star_after ? Kind::contains
          : star_before             ? Kind::ends
          : star_after              ? Kind::begins
                                    : Kind::equal;
}

bool Pattern::matches(std::string_view text) const {
  switch (kind_) {
    case Kind::equal: return text == literal_;
    case Kind::begins: return text.starts_with(literal_);
    case Kind::ends: return text.ends_with(literal_);
    case Kind::contains: return text.find(literal_) != std::string_view::npos;
    default: return fnmatch(pattern_.c_str(), text.data(), flags_) == 0;
  }
}

struct RegularExpression::Compiled {
  mutable re_pattern_buffer buffer{};
  ~Compiled() { regfree(&buffer); }
};

RegularExpression::RegularExpression(const std::string& pattern, bool ignore_case) {
  auto compiled = std::make_shared<Compiled>();
  re_syntax_options = RE_SYNTAX_EMACS | (ignore_case ? RE_ICASE : 0);
  if (const char* error = re_compile_pattern(pattern.data(), pattern.size(), &compiled->buffer)) {
    throw Misunderstood("'" + pattern + "' is no regular expression: " + error);
  }
  compiled_ = std::move(compiled);
}

bool RegularExpression::matches(std::string_view text) const {
  const auto length = static_cast<int>(text.size());
  return re_match(&compiled_->buffer, text.data(), length, 0, nullptr) == length;
}

bool parse_permissions(const std::string& text, unsigned& mode) {
  if (text.empty()) return false;
  if (text.front() >= '0' && text.front() <= '7') {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, mode, 8);
    return parsed.ptr == end && parsed.ec == std::errc() && mode <= 07777;
  }
  mode = 0;
  for (std::size_t at = 0;;) {
    unsigned who = 0;
    for (; at < text.size() && std::strchr("ugoa", text[at]); ++at) {
      who |= text[at] == 'u' ? 04700 : text[at] == 'g' ? 02070 : text[at] == 'o' ? 01007 : 07777;
    }
    if (who == 0) who = 07777;
    if (at >= text.size() || !std::strchr("+-=", text[at])) return false;
    while (at < text.size() && std::strchr("+-=", text[at])) {
      const char how = text[at++];
      unsigned bits = 0;
      for (; at < text.size() && std::strchr("rwxXst", text[at]); ++at) {
        switch (text[at]) {
          case 'r': bits |= 0444; break;
          case 'w': bits |= 0222; break;
          case 'x': bits |= 0111; break;
          case 's': bits |= 06000; break;
          case 't': bits |= 01000; break;
          default: bits |= mode & 0111 ? 0111 : 0;  // X
        }
      }
      bits &= who;
      mode = how == '+' ? mode | bits : how == '-' ? mode & ~bits : (mode & ~who) | bits;
    }
    if (at == text.size()) return true;
    if (text[at++] != ',') return false;
  }
}

bool parse_time(const std::string& text, std::int64_t& seconds) {
  if (text.starts_with('@')) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + 1, end, seconds);
    return parsed.ptr == end && parsed.ec == std::errc();
  }
  for (const char* format : {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"}) {
    tm time{};
    const char* end = strptime(text.c_str(), format, &time);
    if (!end || *end) continue;
    time.tm_isdst = -1;
    seconds = mktime(&time);
    return true;
  }
  return false;
}

}  // namespace madang::files

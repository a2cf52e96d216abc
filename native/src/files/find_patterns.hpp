// What the words of a search say: patterns, permissions, moments.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace madang::files {

// A shell pattern for names or paths. Most of them are plain text with a star at an end, which
// needs no fnmatch.
class Pattern {
 public:
  Pattern(std::string pattern, bool ignore_case);
  bool matches(std::string_view text) const;  // ends with NUL

 private:
  enum class Kind { equal, begins, ends, contains, general };
  std::string pattern_;
  std::string literal_;
  Kind kind_ = Kind::general;
  int flags_ = 0;
};

// As `find -regex` understands it (Emacs), for the whole text. Thread-safe.
class RegularExpression {
 public:
  RegularExpression(const std::string& pattern, bool ignore_case);  // throws Misunderstood
  bool matches(std::string_view text) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

// "644", "u+w", "u=rw,go=r". False if it is none.
bool parse_permissions(const std::string& text, unsigned& mode);

// "2026-12-31", "2026-12-31 23:59[:59]" (a T between them will do) or "@seconds", in local time.
bool parse_time(const std::string& text, std::int64_t& seconds);

}  // namespace madang::files

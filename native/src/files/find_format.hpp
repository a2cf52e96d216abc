// What `find -printf` says of a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "find_expression.hpp"

namespace madang::files {

class Format {
 public:
  // Throws Misunderstood. `expression` learns what the status must tell.
  Format(std::string_view format, Expression& expression);
  void append(std::string& out, Found& found) const;

 private:
  struct Part {
    std::string text;  // printed first
    char directive = 0;
    char detail = 0;    // of %A, %B, %C, %T: which part of the time
    bool left = false;  // aligned so
    bool zeros = false;
    bool sharp = false;
    bool plus = false;
    bool blank = false;
    std::size_t width = 0;
    std::size_t precision = std::string::npos;
  };

  std::size_t read_escape(std::string_view format, std::size_t at, std::string& text);
  std::size_t read_directive(std::string_view format, std::size_t at, Part& part, Expression& expression);
  void append_value(std::string& out, const Part& part, Found& found) const;

  std::vector<Part> parts_;
  bool stops_ = false;  // \c
};

}  // namespace madang::files

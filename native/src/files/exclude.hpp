// Patterns of what an operation leaves out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "walk.hpp"

namespace madang::files {

// Shell patterns, matched as GNU's --exclude does: against the whole path and against every part of
// it that follows a slash ("*.o" is any name, "build/tmp" any directory build with tmp in it).
class Exclude {
 public:
  Exclude() = default;
  explicit Exclude(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {}

  bool empty() const { return patterns_.empty(); }
  bool matches(const Directory& directory, const Entry& entry) const;
  bool matches(std::string_view path) const;

 private:
  std::vector<std::string> patterns_;
};

}  // namespace madang::files

#include "exclude.hpp"

#include <fnmatch.h>

namespace madang::files {

bool Exclude::matches(const Directory& directory, const Entry& entry) const {
  return !empty() && matches(directory.path_of(entry.view()));
}

bool Exclude::matches(std::string_view path) const {
  const std::string whole(path);
  for (const std::string& pattern : patterns_) {
    const char* part = whole.c_str();
    while (part) {
      if (fnmatch(pattern.c_str(), part, 0) == 0) return true;
      while (*part && *part != '/') ++part;
      while (*part == '/') ++part;
      if (!*part) part = nullptr;
    }
  }
  return false;
}

}  // namespace madang::files

// What trees take up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "run.hpp"

namespace madang::files {

struct UsageOptions {
  bool apparent = false;         // what files say to hold, not what they take on the disk
  bool count_links = false;      // each name of a file, not each file
  bool one_file_system = false;
  bool separate = false;         // directories without those in them
  bool files = false;            // tell of what is no directory, too
  unsigned max_depth = UINT32_MAX;   // down to which depth to tell; the sums are of everything
  std::vector<std::string> exclude;  // shell patterns for paths and for their ends
};

struct Usage {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

struct UsageOfRoot {
  std::string path;
  Usage usage;
  bool shown = false;  // false: not there, excluded, or within another one
};

struct UsageResult {
  std::vector<UsageOfRoot> roots;  // as they were given
  Usage total;
  bool finished = true;
};

// Called from all lanes for what is below the roots, directories after what is in them.
using UsageTold = std::function<void(Lane&, const std::string& path, const Usage&)>;

// A file with many names counts once, in the first of the roots that it is in; in which of the
// directories within is not determined. Roots within other roots count once, too.
UsageResult usage(const Run& run, const std::vector<std::string>& roots, const UsageOptions& options,
                  const UsageTold& told);

}  // namespace madang::files

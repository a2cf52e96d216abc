// Removing trees.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "run.hpp"

namespace madang::files {

struct RemoveOptions {
  bool recursive = false;
  bool missing_is_fine = false;    // -f
  bool empty_directories = false;  // -d: without `recursive`, directories that are empty
  bool one_file_system = false;
  bool dry_run = false;            // only tells `removed` what would be
  std::vector<std::string> exclude;
  // Each thing that is gone, by any lane. May be empty.
  std::function<void(Lane&, const std::string& path, bool is_directory)> removed;
};

struct Removed {
  std::uint64_t files = 0;
  std::uint64_t directories = 0;
  std::uint64_t failures = 0;
  bool complete = true;  // false: it was stopped
};

// Removes `paths` (relative to `at_fd`) and, if `recursive`, what is beneath. Never follows a
// symbolic link. What can't be removed is told to `run.failed`, and the rest is removed.
Removed remove(const std::vector<std::string>& paths, const RemoveOptions& options, const Run& run,
               int at_fd = AT_FDCWD);

}  // namespace madang::files

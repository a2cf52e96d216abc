// Listing a directory tree with several threads. Knows nothing of Python.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace madang {

// Everything below a root, sorted by path (as bytes); column i describes entry i. Paths are
// relative to the root; entry i's is paths[offsets[i] .. offsets[i + 1]).
struct Listing {
  std::string paths;
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint64_t> sizes;
  std::vector<std::int64_t> mtimes_ns;
  std::vector<std::uint8_t> kinds;  // the file type bits of st_mode, shifted down: DT_REG, DT_DIR...
  std::vector<std::uint32_t> modes;  // the permission bits of st_mode
  std::vector<std::pair<std::string, int>> errors;  // (path, errno), sorted; "" is the root
};

// Lists the tree below `root_fd`, which stays the caller's. Symbolic links are listed, never
// followed. What vanishes while it is looked at is left out; what can't be read is in `errors`.
// `interrupted` is called by the calling thread, some times a second; when it says true, the scan
// ends early and returns what it has. `num_threads` is at least 1.
Listing scan(int root_fd, unsigned num_threads, const std::function<bool()>& interrupted);

}  // namespace madang

// Trees as columns, in batches: memory stays small however many entries there are.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "run.hpp"

namespace madang::files {

// Which columns are filled in; paths and types always are. What is asked for decides what the file
// system is asked: nothing at all for paths and types, where directories tell the types.
struct Columns {
  bool sizes = false;
  bool blocks = false;
  bool mtimes_ns = false;
  bool modes = false;
  bool users = false;
  bool groups = false;
  bool num_links = false;
  bool inodes = false;
};

// Entry i's path is paths[offsets[i] .. offsets[i + 1]); columns that were not asked for are empty.
struct Batch {
  std::string paths;
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::uint8_t> types;  // DT_REG, DT_DIR...
  std::vector<std::uint64_t> sizes;
  std::vector<std::uint64_t> blocks;  // of 512 bytes
  std::vector<std::int64_t> mtimes_ns;
  std::vector<std::uint32_t> modes;  // permission bits
  std::vector<std::uint32_t> users;
  std::vector<std::uint32_t> groups;
  std::vector<std::uint32_t> num_links;
  std::vector<std::uint64_t> inodes;

  std::size_t size() const { return types.size(); }
  std::string_view path(std::size_t entry) const {
    return std::string_view(paths).substr(offsets[entry], offsets[entry + 1] - offsets[entry]);
  }
};

// Takes a batch, which it may move from; called from all lanes at once, one at a time for a lane.
using TakeBatch = std::function<void(unsigned lane, Batch& batch)>;

// Lists everything below the open directory `root_fd`, with paths relative to it, in no order. Links
// are listed, never followed; what vanishes meanwhile is left out. False when it was stopped; an
// error of the root itself has the path "".
bool list_tree(const Run& run, int root_fd, const Columns& columns, const TakeBatch& take);

}  // namespace madang::files

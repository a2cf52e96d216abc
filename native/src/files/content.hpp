// Copying what is in files.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "checksum.hpp"
#include "crew.hpp"

namespace madang::files {

enum class Sparse { automatic, always, never };
enum class Reflink { automatic, always, never };

struct ContentOptions {
  Sparse sparse = Sparse::automatic;
  Reflink reflink = Reflink::automatic;
  Checksum verify = Checksum::none;
};

// `action` is null when all went well; otherwise what failed, on which side.
struct ContentError {
  const char* action = nullptr;
  bool at_target = false;
  int error = 0;  // 0: `action` says it all
};

// Content of many files, of one file system to another. What a file system does not support is
// tried once.
class ContentCopier {
 public:
  explicit ContentCopier(const ContentOptions& options) : options_(options) {}

  // All of a file into an empty one, from its beginning to its end, so that the copy is as long as its
  // source only when it is whole. With `verify` the copy is read back; `digest` is then set, in hex.
  ContentError copy(Lane& lane, int source_fd, int target_fd, const struct stat& source,
                    std::string& digest);

  // Whether parts of it should be copied by several lanes, with `copy_part`.
  bool is_to_be_split(const Crew& crew, const struct stat& source) const;
  static std::uint64_t num_parts(const struct stat& source);
  ContentError copy_part(Lane& lane, int source_fd, int target_fd, std::uint64_t part,
                         const struct stat& source);
  // As a whole by sharing blocks, where the file system can. 0: done.
  int clone(int source_fd, int target_fd);

  // From or to what has no beginning and no end: pipes, devices.
  ContentError stream(Lane& lane, int source_fd, int target_fd);

  bool is_same(Lane& lane, int one_fd, int other_fd);

 private:
  ContentError copy_whole(Lane& lane, int source_fd, int target_fd, const struct stat& source,
                          Hasher* hasher);
  ContentError copy_sparse(Lane& lane, int source_fd, int target_fd, std::uint64_t size);
  ContentError copy_range(Lane& lane, int source_fd, int target_fd, std::uint64_t from,
                          std::uint64_t to, Hasher* hasher, bool until_end,
                          bool finds_holes = false);
  ContentError read_back(Lane& lane, int target_fd, const std::string& digest);

  const ContentOptions options_;
  std::atomic<bool> can_clone_{true};
  std::atomic<bool> can_copy_range_{true};
};

}  // namespace madang::files

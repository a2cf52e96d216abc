// Making tar archives of trees.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compress.hpp"
#include "run.hpp"
#include "tar_format.hpp"

namespace madang::files {

// Something about a member that is worth telling, though it is no failure.
enum class Notice {
  socket,            // left out
  is_the_archive,    // left out
  vanished,          // was gone before it was read; left out
  changed,           // while it was read
  shrank,            // while it was read: filled up with `count` zeros
  other_filesystem,  // a mount point: what is in it is left out
  removed_prefix,    // `path` is what was taken away from the beginning of names
  removed_link_prefix,
  unreadable_attributes,  // stored without them
};

struct ArchiveOptions {
  Compression compression = Compression::none;
  int level = 0;                // 0: the ordinary one
  bool recursive = true;
  bool one_file_system = false;
  bool sort_by_name = false;    // the same tree gives the same order
  bool follow_links = false;    // files for symbolic links to files
  bool absolute_names = false;  // names keep a leading slash and ".."
  bool numeric_owner = false;   // no names of users and groups
  bool xattrs = false;
  bool acls = false;
  std::vector<std::string> exclude;
  std::optional<std::int64_t> mtime_s;
  std::optional<std::pair<std::string, std::uint64_t>> owner;  // name (may be empty) and number
  std::optional<std::pair<std::string, std::uint64_t>> group;
  // Each member as it is added, one at a time, from any lane. These two may be empty.
  std::function<void(const tar::Member& member)> added;
  std::function<void(Notice, const std::string& path, std::uint64_t count)> noticed;
};

struct ArchiveRoot {
  std::string path;       // as `openat` understands it, and as members are named
  int at_fd = AT_FDCWD;   // stays the caller's
};

struct Archived {
  std::uint64_t members = 0;
  std::uint64_t bytes = 0;          // of files
  std::uint64_t archive_bytes = 0;
  std::uint64_t changed = 0;        // files that vanished or changed while they were read
  std::uint64_t failures = 0;
  int error = 0;                    // an errno: the archive itself could not be written
  bool complete = true;             // false: it was stopped, or `error` is set
};

// Writes an archive of `roots` to `fd`. What can't be read is told to `run.failed`, and the rest is
// written. The file that `fd` is, and the one called `output` (may be empty), are left out.
Archived archive_to(int fd, const std::string& output, const std::vector<ArchiveRoot>& roots,
                    const ArchiveOptions& options, const Run& run);

// The same into a file, which has its name only once it is whole; a device or a fifo is written
// to as it is.
Archived archive(const std::string& output, const std::vector<ArchiveRoot>& roots,
                 const ArchiveOptions& options, const Run& run);

}  // namespace madang::files

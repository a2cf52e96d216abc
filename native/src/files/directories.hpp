// Listing directories, each as a whole with what is in it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "run.hpp"

namespace madang::files {

// Something in a directory. What was not asked for is 0.
struct Row {
  std::size_t name_at = 0;
  std::size_t link_at = 0;  // what a symbolic link says
  std::uint32_t name_length = 0;
  std::uint32_t link_length = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::uint64_t blocks = 0;  // of 512 bytes
  std::int64_t seconds = 0;  // the time that was asked for
  std::uint32_t nanoseconds = 0;
  std::uint32_t mode = 0;
  std::uint32_t target_mode = 0;  // of what a link leads to; 0: nowhere
  std::uint32_t num_links = 0;
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  unsigned char type = 0;  // DT_REG, DT_DIR...
  char access = ' ';       // '+': an access control list, '.': a security context only
  bool known = true;       // false: its status could not be read
};

// Rows and the bytes they refer to.
struct Rows {
  std::string text;
  std::vector<Row> rows;

  std::string_view name(const Row& row) const { return {text.data() + row.name_at, row.name_length}; }
  std::string_view link(const Row& row) const { return {text.data() + row.link_at, row.link_length}; }
};

enum class Hidden { leave_out, almost_all, all };  // names that begin with a dot; "." and ".."
enum class TimeOf { modification, change, access };

struct DirectoriesOptions {
  Hidden hidden = Hidden::leave_out;
  TimeOf time = TimeOf::modification;
  bool recursive = false;
  bool one_file_system = false;
  bool status = false;        // all that statx tells
  bool types = false;         // types where directories do not tell them
  bool executables = false;   // the mode of regular files
  bool links = false;         // what symbolic links say
  bool targets = false;       // and the mode of what they lead to
  bool access = false;        // Row::access
  std::vector<std::string> exclude;  // shell patterns for names
};

// Called from all lanes, once a directory, with what is in it; null where it could not be opened or
// was not to be. Neither may be kept.
using Listed = std::function<void(Lane&, const Directory&, const Rows*)>;

// Looks at `paths` themselves, in their order. `follow`: a symbolic link to a directory is that.
Rows examine(const Run& run, const std::vector<std::string>& paths, const DirectoriesOptions& options,
             bool follow);

// Lists `directories`, and with `recursive` those in them. False when it was stopped.
bool list_directories(const Run& run, const std::vector<std::string>& directories,
                      const DirectoriesOptions& options, const Listed& listed);

}  // namespace madang::files

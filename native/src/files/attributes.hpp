// Changing modes and owners of trees.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mode.hpp"
#include "run.hpp"

namespace madang::files {

struct ChangeOptions {
  bool recursive = false;
  bool one_file_system = false;
  bool dry_run = false;
  std::vector<std::string> exclude;
  bool wants_old = false;  // `changed` is to be told what was before: costs a look at each
};

struct Changed {
  std::uint64_t changed = 0;   // of which it is known (`wants_old`) that they were otherwise; else all
  std::uint64_t retained = 0;
  std::uint64_t failures = 0;
  bool complete = true;
};

// Called by any lane. `before` is empty where it was not looked at.
struct ModeChanged {
  const std::string& path;
  std::optional<mode_t> before;
  mode_t after;
};
using OnModeChanged = std::function<void(Lane&, const ModeChanged&)>;

// Changes the mode of `paths` (relative to `at_fd`) and, if recursive, of what is beneath; symbolic
// links beneath are left alone, those given lead to what they point to, unless recursive.
Changed change_mode(const std::vector<std::string>& paths, const ModeChange& mode,
                    const ChangeOptions& options, const Run& run, const OnModeChanged& changed = {},
                    int at_fd = AT_FDCWD);

struct Owner {
  std::optional<uid_t> user;
  std::optional<gid_t> group;
};

struct OwnerChanged {
  const std::string& path;
  Owner before;  // empty where it was not looked at
};
using OnOwnerChanged = std::function<void(Lane&, const OwnerChanged&)>;

struct OwnerOptions : ChangeOptions {
  bool links_themselves = false;  // -h: a symbolic link given is changed itself
  Owner only_from;                // change only what belongs to these
};

// Changes the owner of `paths` and, if recursive, of what is beneath, symbolic links themselves.
Changed change_owner(const std::vector<std::string>& paths, const Owner& owner,
                     const OwnerOptions& options, const Run& run, const OnOwnerChanged& changed = {},
                     int at_fd = AT_FDCWD);

}  // namespace madang::files

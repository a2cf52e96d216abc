// Copying files and trees, and making one tree equal to another.
//
// Nothing is ever under its final name that is not whole. A new directory is filled under a name of
// its own (see PartName) and gets its name when everything beneath is done, so that the files in it
// cost no request more than they must. Where a directory is there already, each file is made under
// such a name beside its place and then renamed over it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "copy_attributes.hpp"
#include "content.hpp"
#include "run.hpp"

namespace madang::files {

enum class Follow { never, roots, always };
enum class Compare { none, size_and_time, content };

// One thing that was done, or, with `dry_run`, would be.
struct CopyEvent {
  enum class Action { copied, linked, updated, skipped, removed };  // updated: attributes only
  Action action;
  const std::string& source;  // empty for `removed`
  const std::string& target;
  unsigned char type;  // DT_REG...
  std::uint64_t bytes = 0;
  std::string_view digest = {};  // of `verify`, in hex
};

struct CopyOptions {
  bool recursive = false;
  Follow follow = Follow::never;  // symbolic links in the source; `always` is for files only
  Preserve preserve;
  bool plain_mode = false;        // permissions as anything new has them
  bool link = false;              // make hard links instead of copies
  bool no_clobber = false;        // leave what is there
  bool update = false;            // leave what is not older
  bool one_file_system = false;
  bool dry_run = false;
  bool resume = false;  // take up what a killed copy has left
  bool sync = false;    // to disk, before anything gets its name
  ContentOptions content;
  std::vector<std::string> exclude;

  // Of `sync`: leave what is equal, let go what the source has not.
  Compare compare = Compare::none;
  bool remove_extra = false;

  // Each thing that is done, by any lane. May be empty. `wants_skipped`: what is left as it is, too.
  std::function<void(Lane&, const CopyEvent&)> done;
  bool wants_skipped = false;
  std::function<void(const Failure&)> warned;  // what is odd, but no failure
};

struct Copied {
  std::uint64_t files = 0;
  std::uint64_t directories = 0;
  std::uint64_t others = 0;   // links, fifos...
  std::uint64_t bytes = 0;
  std::uint64_t updated = 0;  // attributes only
  std::uint64_t skipped = 0;  // left as they were
  std::uint64_t removed = 0;
  std::uint64_t failures = 0;
  bool complete = true;  // false: it was stopped
};

// Copies `sources` into the directory `target`, or a single one to the name `target`. With
// `into_directory` the target must be a directory, with `no_target_directory` it is never copied into.
// What can't be copied is told to `run.failed`, and the rest is copied.
struct CopyTarget {
  std::string path;
  bool into_directory = false;
  bool no_target_directory = false;
};
Copied copy(const std::vector<std::string>& sources, const CopyTarget& target,
            const CopyOptions& options, const Run& run);

}  // namespace madang::files

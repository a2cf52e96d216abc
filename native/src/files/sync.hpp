// Making one tree equal to another.
#pragma once

#include <string>

#include "copy.hpp"

namespace madang::files {

struct SyncOptions {
  bool compare_content = false;  // otherwise size and time tell
  bool remove_extra = false;     // what the source has not
  bool force = false;            // also if the source is empty
  bool keep_links = false;       // files with several names
  bool keep_xattrs = false;
  bool one_file_system = false;
  bool dry_run = false;
  bool sync = false;
  ContentOptions content;
  std::vector<std::string> exclude;
  std::function<void(Lane&, const CopyEvent&)> done;
  std::function<void(const Failure&)> warned;
  bool wants_skipped = false;
};

// Makes `target` equal to `source`: what differs is copied, with permissions, owners and times, each
// file as a whole. What is there and equal costs two requests a file. A run that was killed is taken up
// by the next. With `remove_extra`, a source that can't be read or is empty is refused.
Copied sync(const std::string& source, const std::string& target, const SyncOptions& options,
            const Run& run);

}  // namespace madang::files

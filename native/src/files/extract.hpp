// Extracting archives, never to anywhere but beneath their target.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "run.hpp"
#include "tar_format.hpp"

namespace madang::files {

// Which members are wanted: those that are named, and what is beneath them; all, where none is.
class MemberFilter {
 public:
  explicit MemberFilter(std::vector<std::string> names) : names_(std::move(names)), found_(names_.size()) {}
  bool wants(std::string_view name);
  std::vector<std::string> not_found() const;

 private:
  std::vector<std::string> names_;
  std::vector<char> found_;
};

// What became of a member.
enum class Extracted {
  made,
  same,        // resume: it was there already
  would_make,  // dry run
  left_out,    // not wanted: excluded, not named, nothing left of its name
  device,      // left out: devices are made only where that is asked for
};

struct ExtractOptions {
  std::string directory = ".";   // is made where it is missing
  unsigned strip_components = 0;
  std::vector<std::string> members;  // those, and what is beneath them; empty: all
  std::vector<std::string> exclude;
  bool keep_old = false;             // what is there is an error, and stays
  bool resume = false;               // what is there with that size and time stays
  bool verify = false;               // read back and compare
  bool dry_run = false;              // with `verify`: contents are read and checked all the same
  bool same_owner = false;
  bool numeric_owner = false;
  bool to_the_letter = false;        // modes regardless of the umask, with set-user-ID bits
  bool devices = false;
  bool xattrs = false;
  bool acls = false;
  bool set_mtime = true;
  std::uint64_t max_bytes = 0;       // of all contents; 0: any
  // Each member, one at a time, from any lane. These may be empty.
  std::function<void(const std::string& archive, const tar::Member& member, Extracted)> done;
  // An archive that can't be read (further).
  std::function<void(const std::string& archive, const std::string& sentence)> damaged;
  // A member that is refused or not what it should be.
  std::function<void(const std::string& archive, const std::string& member, const std::string& sentence)> refused;
  // The beginnings of names that were taken away, once each: "/".
  std::function<void(const std::string& prefix)> removed_prefix;
};

struct ExtractResult {
  std::uint64_t members = 0;     // made, or would be
  std::uint64_t bytes = 0;
  std::uint64_t same = 0;
  std::uint64_t left_out = 0;
  std::uint64_t failures = 0;    // members that are not what they should be
  std::uint64_t damaged = 0;     // archives
  std::vector<std::string> not_found;  // of `members`
  bool complete = true;          // false: it was stopped
};

struct ArchiveFile {
  std::string name;  // in what is told
  int fd;            // stays the caller's
};

// Extracts `archives`, side by side. What can't be done is told, and the rest is done.
ExtractResult extract(const std::vector<ArchiveFile>& archives, const ExtractOptions& options, const Run& run);

// Calls `member` for each member of an archive, in order. Throws ArchiveError.
void list_archive(int fd, const std::function<void(const tar::Member&)>& member);

}  // namespace madang::files

// Walking directory trees on a crew, once for all operations: reading directories, sharing what is
// in them among lanes, holding handles and letting them go, and telling when things are done.
//
// Symbolic links are never followed, also not one that is planted while the walk goes on: every
// directory is opened by its name in the directory that it was found in, and must be a directory.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "../directory.hpp"
#include "crew.hpp"

namespace madang::files {

class Walk;

// A descriptor that counts as one of the walk's open ones while anybody holds it.
class Handle {
 public:
  Handle() = default;
  Handle(Descriptor descriptor, std::atomic<int>& num_open);
  static Handle borrowed(int fd);  // somebody else's: not counted, not closed

  int fd() const { return owned_ ? owned_->descriptor.get() : borrowed_; }
  explicit operator bool() const { return owned_ || borrowed_ != kNone; }

 private:
  static constexpr int kNone = -1;  // AT_FDCWD is another negative number

  struct Owned {
    Owned(Descriptor opened, std::atomic<int>& count);
    ~Owned();
    Descriptor descriptor;
    std::atomic<int>& num_open;
  };
  std::shared_ptr<Owned> owned_;
  int borrowed_ = kNone;
};

// What an operation keeps with a directory while it is walked.
struct DirectoryState {
  virtual ~DirectoryState() = default;
};

// A directory that is being walked. Lives until everything beneath it is done.
class Directory : public std::enable_shared_from_this<Directory> {
 public:
  using Pointer = std::shared_ptr<Directory>;

  // As a person would write it: what the walk was given, and the names beneath it.
  const std::string& path() const { return path_; }
  std::string path_of(std::string_view name) const;
  // Below the root of its tree; "" is the root itself.
  std::string_view relative() const;
  // What its tree was given as.
  std::string_view root_path() const { return root_->path_; }
  // Its name in its parent; of a root: what the walk was given.
  const char* name() const { return path_.c_str() + name_at_; }
  const Pointer& parent() const { return parent_; }
  unsigned depth() const { return depth_; }  // 0 is a root
  // Roots are named from a directory that is not walked itself; this is it.
  bool is_above_roots() const { return !parent_; }

  // Open; opened again if it was let go. Empty, with errno set, when it is there no more.
  Handle handle();

  // Work on an entry that goes on after `entry` has returned: until its end, nothing above is left.
  Pointer begin_work();
  void end_work(Lane& lane);

  // Whether it could not be opened or read to its end.
  bool failed() const { return failed_.load(std::memory_order_relaxed); }

  // Whatever an operation wants to keep with it, set before it is walked.
  std::unique_ptr<DirectoryState> state;
  template <typename State>
  State& state_as() const {
    return static_cast<State&>(*state);
  }

 private:
  friend class Walk;
  friend class ReadTask;
  friend class ExamineTask;
  friend class RootTask;

  Handle held() const;  // empty where it was let go
  void hold(Handle handle);

  Walk* walk_ = nullptr;
  Pointer parent_;
  Directory* root_ = nullptr;
  std::string path_;
  std::size_t relative_at_ = 0;
  std::size_t name_at_ = 0;
  unsigned depth_ = 0;
  bool follow_ = false;
  std::atomic<bool> failed_{false};

  mutable std::mutex mutex_;  // of handle_
  Handle handle_;

  std::atomic<std::uint32_t> unlisted_{1};    // parts of its own entries that are not done
  std::atomic<std::uint32_t> unfinished_{1};  // its own entries as a whole, and directories in it
};

// A name in a directory, as it was read.
struct Entry {
  const char* name;    // ends with NUL
  std::size_t length;
  unsigned char type;  // DT_REG, DT_DIR...; DT_UNKNOWN for roots, and where a file system is silent
  std::uint64_t inode;

  std::string_view view() const { return {name, length}; }
};

enum class Stage { open, read };

// What is done to trees. Called from all lanes at once, for different entries; `entered`, `listed`
// and `left` once a directory each, in this order.
class Operation {
 public:
  virtual ~Operation() = default;

  // Something in `directory`, which is open as `fd`. True: it is a directory, and to be walked;
  // `child_state` is then kept with it. Roots come first, in a directory `is_above_roots`.
  virtual bool entry(Lane&, Directory& directory, int fd, const Entry&,
                     std::unique_ptr<DirectoryState>& child_state) = 0;

  // A directory was opened. False: not to be read.
  virtual bool entered(Lane&, Directory&, int /*fd*/) { return true; }
  // All its own entries are done; what is in its directories may not be.
  virtual void listed(Lane&, Directory&) {}
  // Everything beneath it is done.
  virtual void left(Lane&, Directory&) {}

  // A directory could not be opened or read.
  virtual void failed(Lane&, Directory&, Stage, int error) = 0;

  // Whether an entry costs a request or more, so that several lanes should share a directory.
  virtual bool shares_directories() const { return true; }
  // Whether `handle` is wanted after `listed`.
  virtual bool keeps_handles() const { return false; }
};

struct WalkOptions {
  bool one_file_system = false;  // mount points are entries, but not walked
};

class Walk {
 public:
  Walk(Crew& crew, Operation& operation, WalkOptions options = {});
  Walk(const Walk&) = delete;

  // Adds a tree (or a single file), as `openat` understands its path relative to `at_fd`, which
  // stays the caller's. `follow`: the root itself may be a symbolic link. `state` is that of the
  // directory above, in which the operation meets the root.
  void add(std::string path, bool follow = false, int at_fd = AT_FDCWD,
           std::unique_ptr<DirectoryState> state = nullptr);
  // Adds what is in a directory that is open; paths are relative to it.
  void add_open(int fd);

  Crew& crew() { return crew_; }

 private:
  friend class Directory;
  friend class ReadTask;
  friend class ExamineTask;
  friend class RootTask;

  Directory::Pointer child(const Directory::Pointer& parent, std::string_view name);
  Handle open(Directory& directory, const Handle& parent);
  void examine(Lane& lane, const Directory::Pointer& directory, const Handle& handle,
               const Entry& entry);
  void part_listed(Lane& lane, const Directory::Pointer& directory);
  void part_finished(Lane& lane, Directory::Pointer directory);
  bool may_hold() const { return num_open_.load(std::memory_order_relaxed) < most_open_; }

  Crew& crew_;
  Operation& operation_;
  const WalkOptions options_;
  const int most_open_;
  std::atomic<int> num_open_{0};
  std::deque<Directory::Pointer> above_roots_;
};

// statx, once more after an interrupt; 0 or an errno. A symbolic link is not followed.
int status_of(int fd, const char* name, unsigned mask, struct statx& status);

// Of a status: DT_REG, DT_DIR...
inline unsigned char type_of(const struct statx& status) { return (status.stx_mode & S_IFMT) >> 12; }

// How many more descriptors this process may open.
int free_descriptors();

// As many lanes as there are descriptors for.
unsigned lanes_for(int free_descriptors);

}  // namespace madang::files

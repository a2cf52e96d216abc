// How a copy is made: the walk's operation, used by `copy` and `sync` only.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "copy.hpp"
#include "exclude.hpp"
#include "target.hpp"

namespace madang::files {

// Where a root goes: `name` in an open directory.
struct RootTarget final : DirectoryState {
  Handle parent;
  std::string name;  // ".": the directory itself
  std::string path;
  bool write_through = false;  // a device, a pipe: written to, never replaced
};

// A file that is being copied. Lives in one function, or, when several lanes copy it, on the heap.
struct FileCopy {
  Directory& directory;  // of the source
  int source_fd;         // that directory; gone when `entry` has returned
  std::string name;      // in the source
  std::string target_name;
  Handle target_dir;
  bool is_private = false;    // nobody looks there: it may have its name at once
  bool inherits_acl = false;
  unsigned char there = 0;    // type of what is in its place; 0: nothing
  bool follow = false;        // a symbolic link is read through
  bool any_content = false;   // pipes and devices are read, not made anew
  struct stat existing {};    // if `there`
  struct stat source {};
  Descriptor from {};
  Descriptor to {};
  std::string part {};  // the name it has until it is whole; empty: `target_name`
  bool is_first_link = false;  // others wait for it
  std::string digest {};
};

// Which files of the source were copied already, of those that have several names.
class HardLinks {
 public:
  using Key = std::pair<dev_t, ino_t>;
  struct Place {
    std::weak_ptr<Anchor> anchor;  // while it is there, `below` leads from it to the directory
    std::string below;
    Handle root;                   // afterwards, `path` leads there from this
    std::string path;
    std::string name;
  };
  // Called when the first is done; null: it could not be copied.
  using Waiter = std::function<void(Lane&, const Place*)>;

  // True: this is the first, and `finish` must follow. Otherwise `waiter` is called, now or then.
  bool claim(Lane& lane, const Key& key, const std::function<Waiter()>& waiter);
  void finish(Lane& lane, const Key& key, const Place* place);

 private:
  struct Record {
    bool done = false;
    Place place;
    std::vector<Waiter> waiters;
  };
  std::mutex mutex_;
  std::map<Key, Record> records_;
};

class Copy final : public Operation {
 public:
  Copy(const CopyOptions& options, const Run& run);

  bool entry(Lane&, Directory&, int fd, const Entry&, std::unique_ptr<DirectoryState>&) override;
  bool entered(Lane&, Directory&, int fd) override;
  void listed(Lane&, Directory&) override;
  void left(Lane&, Directory&) override;
  void failed(Lane&, Directory&, Stage, int error) override;

  // A directory that is there and copied into: it must not be copied itself.
  void remember_target(int parent_fd, const std::string& name);
  void warn(const char* what, const std::string& path, const char* joint);
  void fail(const Failure& failure) { failures_.add(failure); }
  // Several sources have the same name: what one has made is not overwritten by the next.
  void remember_created() { remembers_created_ = true; }
  Copied result(bool complete) const;

 private:
  friend class SplitTask;
  friend class RemoveTask;

  // copy_directories.cpp
  bool root_entry(Lane&, Directory&, int fd, const Entry&, std::unique_ptr<DirectoryState>&);
  bool is_own_part(Directory&, const Entry&);
  void fail_into_itself(Directory&, const std::string& target);
  bool make_directory(Lane&, Directory&, Target&);
  Descriptor make_or_take_up(Lane&, Target&, const std::string& name, const std::string& part);
  std::string left_part_of_root(Lane&, const RootTarget&);
  void make_unentered(Lane&, Directory&, Target&);
  void tidy(Lane&, Directory&, Target&);
  void remove_extra(Lane&, const Handle& dir, const std::string& name, unsigned char type, const std::string& path);
  bool has_attributes(const Target&, int fd) const;
  void finish_directory(Lane&, Directory&, Target&);
  void give_name(Lane&, Directory&, Target&);
  void count_directory(Lane&, Directory&);
  Handle reopen(Directory&);
  static std::string target_path(Directory&);
  static std::string target_path(Directory&, std::string_view name);
  bool keep_handles() const { return num_open_.load(std::memory_order_relaxed) < most_open_; }

  // copy_files.cpp
  void copy_entry(Lane&, FileCopy&, unsigned char type);
  void copy_regular(Lane&, FileCopy&);
  bool open_source(Lane&, FileCopy&);
  bool create(Lane&, FileCopy&, bool split);
  void split(Lane&, FileCopy&);
  void finish(Lane&, FileCopy&, const ContentError&);
  void finish_attributes(FileCopy&);
  void write_through(Lane&, FileCopy&, const std::string& path);

  // copy_others.cpp
  void copy_link(Lane&, FileCopy&);
  void copy_special(Lane&, FileCopy&);
  bool is_first_link(Lane&, FileCopy&, unsigned char type);
  void link_to_first(Lane&, FileCopy&, unsigned char type, const HardLinks::Place* first);
  void link_to(Lane&, FileCopy&, unsigned char type, int dir_fd, const char* name);
  void finish_other(Lane&, FileCopy&, unsigned char type, const std::string& made);
  HardLinks::Place place_of(FileCopy&);

  // copy_decide.cpp
  // Whether to go on with a file: what is in its place may be replaced. Otherwise it is counted, or told.
  bool is_cleared(Lane&, FileCopy&, unsigned char type);
  bool make_way(Lane&, FileCopy&);
  bool is_complete(Lane&, FileCopy&, unsigned char type);
  bool has_same_content(Lane&, FileCopy&);
  bool points_alike(FileCopy&);
  bool update_attributes(Lane&, FileCopy&, unsigned char type);
  void skip(Lane&, const FileCopy&, unsigned char type);

  // Permissions that a copy has without `preserve.mode`, before the umask.
  mode_t plain_mode(const struct stat& source) const;
  std::string made_name(const FileCopy& file) const {
    return file.is_private && file.there == 0 ? file.target_name : part_name_.of(file.target_name);
  }
  // Gives what was made under `made` its name; 0 or an errno.
  int put_in_place(Lane&, const FileCopy&, const std::string& made);
  std::string source_path(const FileCopy& file) const { return file.directory.path_of(file.name); }
  static std::string target_path(const FileCopy& file) { return target_path(file.directory, file.target_name); }
  void fail_source(const FileCopy&, const char* action, int error, const char* joint = "");
  void fail_target(const FileCopy&, const char* action, int error, const char* joint = "");
  void count(Lane&, const FileCopy&, unsigned char type, CopyEvent::Action, std::uint64_t bytes = 0);

  const CopyOptions& options_;
  const Preserve file_preserve_;  // with times, where a resumed copy is to know what is whole
  Failures failures_;
  const Exclude exclude_;
  const PartName part_name_;
  ContentCopier content_;
  HardLinks links_;
  const mode_t umask_;
  std::set<std::pair<dev_t, ino_t>> targets_;  // before the walk only
  std::atomic<bool> source_incomplete_{false};
  std::atomic<int> num_open_{0};
  const int most_open_;
  bool remembers_created_ = false;
  std::mutex roots_mutex_;  // of the next two
  std::set<std::string> created_;                  // roots that are files, by their target paths
  std::map<std::string, std::string> root_parts_;  // names until they are whole, and target paths

  std::atomic<std::uint64_t> files_{0}, directories_{0}, others_{0}, bytes_{0};
  std::atomic<std::uint64_t> updated_{0}, skipped_{0}, removed_{0};
};

// Removes a tree on one lane, by handles; follows no link. 0 or the first errno.
int remove_tree(Lane& lane, int dir_fd, const char* name, bool is_directory);

}  // namespace madang::files

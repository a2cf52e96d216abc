// Trees that are being archived: directories are listed by many lanes, and what was listed is cut
// into numbered parts, depth first, which many lanes read. So an archive has the order it would have if it was
// made by one: everything beneath a directory follows it, before anything else does. Otherwise
// extracting could not restore the times of directories as it goes.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "archiver.hpp"
#include "exclude.hpp"
#include "walk.hpp"

namespace madang::files {

class ArchiveTree final : public Operation {
 public:
  ArchiveTree(Archiver& archiver, ArchiveOrder& order, const std::vector<ArchiveRoot>& roots,
              const ArchiveOptions& options);

  // Lets `walk`, whose operation this is, find all roots.
  void add_to(Walk& walk);

  bool entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
             std::unique_ptr<DirectoryState>& child_state) override;
  bool entered(Lane& lane, Directory& directory, int fd) override;
  void listed(Lane& lane, Directory& directory) override;
  void failed(Lane& lane, Directory& directory, Stage stage, int error) override;

 private:
  friend class PartTask;

  static constexpr std::uint32_t kNoChild = 0xffffffff;

  // A directory, or above all of them the roots.
  struct Branch {
    ~Branch();
    std::string path;
    std::size_t relative_at = 0;    // in `path`: what is below the root
    Branch* parent = nullptr;       // outlives it
    std::shared_ptr<Branch> root;   // empty: it is one
    std::atomic<int>* num_open = nullptr;
    Descriptor fd;                  // empty: let go, there are too many
    struct stat status {};
    bool is_open = false;           // it could be opened, and comes into the archive

    struct Item {
      std::uint32_t name_at;
      std::uint32_t child;  // its directory; kNoChild: it is none
      unsigned char type;   // DT_REG...; of roots 0: there is nothing to archive
    };
    std::mutex mutex;  // of what follows, until it is listed
    std::string names;
    std::vector<Item> items;
    std::vector<std::shared_ptr<Branch>> children;

    // Of the tree's mutex.
    bool listed = false;
    std::vector<std::shared_ptr<Branch>> listed_children;  // that were not gone into (in any order)
    std::size_t num_children_left = 0;
  };
  using Pointer = std::shared_ptr<Branch>;

  struct InBranch final : DirectoryState {
    explicit InBranch(Pointer where) : branch(std::move(where)) {}
    Pointer branch;
  };
  struct AboveRoot final : DirectoryState {
    explicit AboveRoot(std::size_t which) : number(which) {}
    std::size_t number;
  };

  // Some items one after the other.
  struct Range {
    Pointer branch;
    bool itself;  // the directory comes first
    std::size_t begin;
    std::size_t end;
  };
  struct Part {
    std::uint64_t number = 0;
    std::vector<Range> ranges;
    bool more = false;
  };
  struct Level {  // where the cursor is
    Pointer branch;
    bool itself_taken = false;
    std::size_t next = 0;
  };

  unsigned char type_of(Lane& lane, Directory& directory, int fd, const Entry& entry, const std::string& path);
  void set_root(Lane& lane, std::size_t number, unsigned char type, Pointer child);
  bool next_part(std::size_t most, Part& part);
  bool advance(std::size_t most, Part& part, std::size_t& count);
  bool enter_child(const Pointer& child);
  void resume(Lane& lane);
  bool make_part(Lane& lane, bool with_successor);
  void add_range(Lane& lane, const Range& range);
  Descriptor open_branch(const Branch& branch) const;

  Archiver& archiver_;
  ArchiveOrder& order_;
  const std::vector<ArchiveRoot>& roots_;
  const ArchiveOptions& options_;
  const Exclude exclude_;
  const int most_open_;
  std::atomic<int> num_open_{0};
  std::atomic<std::int64_t> num_waiting_{0};  // items that were listed, and are in no part

  std::mutex mutex_;  // of what follows
  Pointer above_;
  std::vector<char> is_known_;  // of roots: whether it was seen what they are
  std::vector<Level> cursor_;
  std::uint64_t num_parts_ = 0;
  bool stalled_ = true;  // the cursor waits for something to be listed, and nobody looks after it
};

}  // namespace madang::files

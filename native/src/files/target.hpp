// Where copies go: directories by handles, names of what is not whole yet.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "walk.hpp"

namespace madang::files {

// What is being made has a name like ".madang-part-8d3f09a1c2e4b576-3c1f0a9e-4711-99120-1" in the
// directory where it will be: a hash of the name it will get, then the run (machine, process, when
// that began, number). It gets its name by rename when it is whole.
class PartName {
 public:
  static constexpr std::string_view kPrefix = ".madang-part-";

  PartName();  // of a new run

  std::string of(std::string_view final_name) const;
  bool is_mine(std::string_view name) const;

  // Whether `name` is a part of a run that goes on no more. Of another machine nobody knows: it is
  // taken for dead.
  static bool is_dead(std::string_view name);
  static bool is_for(std::string_view name, std::string_view final_name);

 private:
  std::string suffix_;
};

// Names that a target directory had before anything was copied into it.
class Listing {
 public:
  // Reads `fd`; 0 or an errno.
  int read(Lane& lane, int fd);

  // DT_REG...; 0 if there is no such name. `see` notes that the source has it.
  unsigned char type_of(std::string_view name) const;
  void see(std::string_view name);

  // A directory that a killed copy has left, which was to get that name; empty if there is none.
  std::string left_part(std::string_view final_name) const;

  // Names that were not seen, and their types.
  template <typename Take>
  void each_unseen(Take&& take) const {
    for (const auto& [name, item] : items_) {
      if (!item.seen.load(std::memory_order_relaxed)) take(name, item.type);
    }
  }
 private:
  struct Item {
    explicit Item(unsigned char what) : type(what) {}
    unsigned char type;
    std::atomic<bool> seen{false};
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  std::unordered_map<std::string, Item, Hash, std::equal_to<>> items_;
  std::vector<std::string> parts_;  // directories under names of PartName
};

// A target directory that stays open while anything beneath it is copied: what was let go is opened
// again from here, and never by a path that others can bend.
struct Anchor {
  Handle handle;
  std::string path;          // as a person would write it
  std::size_t source_depth;  // bytes of the source's relative path that lead to it
  bool is_private;           // it has not got its name yet: nobody looks for anything in it
};

// What leads from an anchor to the target of a directory beneath.
std::string_view below(const Anchor& anchor, const Directory& directory);

// The target of a directory of the source.
struct Target final : DirectoryState {
  std::shared_ptr<Anchor> anchor;
  Handle parent;   // where it is to be made; may be empty, then it is opened again
  Handle handle;   // from `entered` to `listed`, or longer
  std::string part;      // its name as long as it is not whole; empty: it has its own from the start
  std::unique_ptr<Listing> listing;  // of a directory that was there
  unsigned char there = 0;           // type of what is in its place; 0: nothing
  std::string left_part;             // what a killed copy has left of it
  enum State { unseen, open, absent };
  State state = unseen;  // absent: it could not be made, or nothing is made (dry run)
  bool made = false;     // by this copy, or by one that was killed and is taken up
  bool inherits_acl = false;
  struct stat source {};
};

// Opens files and directories; waits where there are too many open. Sets errno.
Descriptor open_patiently(int dir_fd, const char* name, int flags, mode_t mode = 0);

// Renames within a directory, over nothing. 0 or an errno.
int rename_new(int dir_fd, const char* from, const char* to);

}  // namespace madang::files

#include "usage.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <unordered_map>

#include "exclude.hpp"

namespace madang::files {
namespace {

constexpr unsigned kMask = STATX_TYPE | STATX_NLINK | STATX_INO | STATX_BLOCKS | STATX_SIZE;

struct File {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  bool operator==(const File&) const = default;
};

struct HashFile {
  std::size_t operator()(const File& file) const {
    return (file.inode * 0x9e3779b97f4a7c15u) ^ (file.device * 0xc2b2ae3d27d4eb4fu);
  }
};

File file_of(const struct statx& status) {
  return {makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino};
}

// Files that have many names, and the first root that each was met in. Thread-safe.
class Linked {
 public:
  static constexpr std::size_t kNew = SIZE_MAX;

  // kNew; or the root that it counted in so far: if that is a later one, `root` takes it over.
  std::size_t meet(const File& file, std::size_t root) {
    Shard& shard = shards_[HashFile()(file) >> 58];
    std::lock_guard lock(shard.mutex);
    const auto [found, is_new] = shard.roots.try_emplace(file, root);
    if (is_new) return kNew;
    const std::size_t before = found->second;
    if (root < before) found->second = root;
    return before;
  }

 private:
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<File, std::size_t, HashFile> roots;
  };
  std::array<Shard, 64> shards_;
};

struct Sums final : DirectoryState {
  Sums(std::size_t root, std::uint64_t bytes) : root(root), bytes(bytes) {}

  const std::size_t root;
  std::atomic<std::uint64_t> bytes;
  std::atomic<std::uint64_t> inodes{1};

  void add(std::uint64_t more_bytes, std::uint64_t more_inodes) {
    bytes.fetch_add(more_bytes, std::memory_order_relaxed);
    inodes.fetch_add(more_inodes, std::memory_order_relaxed);
  }
};

struct RootNumber final : DirectoryState {
  explicit RootNumber(std::size_t number) : number(number) {}
  const std::size_t number;
};

struct Root {
  struct statx status{};
  std::string real_path;     // of a directory, where there are several roots
  bool there = false;
  bool elsewhere = false;    // it counts in another one
  std::atomic<bool> met{false};  // a file: it counted in an earlier root
  std::atomic<std::int64_t> bytes{0};
  std::atomic<std::int64_t> inodes{0};
};

class SumUp final : public Operation {
 public:
  SumUp(const Run& run, const UsageOptions& options, const UsageTold& told, const std::vector<std::string>& paths)
      : options_(options), exclude_(options.exclude), told_(told), paths_(paths), failures_(run), roots_(paths.size()) {}

  void look(Lane& lane, std::size_t number) {
    Root& root = roots_[number];
    const std::string& path = paths_[number];
    lane.request();
    const int error = status_of(AT_FDCWD, path.c_str(), kMask, root.status);
    if (error != 0) return failures_.add("cannot access", path, error);
    root.there = !exclude_.matches(path);
    if (paths_.size() == 1 || type_of(root.status) != DT_DIR) return;
    if (char* real = realpath(path.c_str(), nullptr)) {
      root.real_path = real;
      std::free(real);
    }
  }

  // Which roots count in others: the same ones, and what is in an earlier one.
  void compare_roots() {
    if (paths_.size() == 1 || options_.count_links) return;
    std::map<std::string, std::size_t> directories;
    for (std::size_t number = 0; number < roots_.size(); ++number) {
      Root& root = roots_[number];
      if (!root.there) continue;
      root.elsewhere = !numbers_.try_emplace(file_of(root.status), number).second;
      if (!root.real_path.empty()) directories.try_emplace(root.real_path + "/", number);
    }
    for (auto& [path, number] : directories) {
      for (std::size_t end = path.find('/'); end + 1 < path.size(); end = path.find('/', end + 1)) {
        const auto above = directories.find(path.substr(0, end + 1));
        if (above != directories.end() && above->second < number) roots_[number].elsewhere = true;
      }
    }
  }

  void add_to(Walk& walk) {
    for (std::size_t number = roots_.size(); number-- > 0;) {
      if (!is_shown(number)) continue;
      walk.add(paths_[number], /*follow=*/false, AT_FDCWD, std::make_unique<RootNumber>(number));
    }
  }

  bool entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
             std::unique_ptr<DirectoryState>& child_state) override {
    lane.done().add(1);
    if (directory.is_above_roots()) {
      const std::size_t number = directory.state_as<RootNumber>().number;
      return count(lane, directory, number, roots_[number].status, entry, child_state);
    }
    if (!exclude_.empty() && exclude_.matches(directory, entry)) return false;
    struct statx status;
    lane.request();
    const int error = status_of(fd, entry.name, kMask, status);
    if (error != 0) {
      failures_.add("cannot access", directory.path_of(entry.view()), error);
      return false;
    }
    return count(lane, directory, directory.state_as<Sums>().root, status, entry, child_state);
  }

  void left(Lane& lane, Directory& directory) override {
    const Sums& sums = directory.state_as<Sums>();
    const Usage usage{sums.bytes.load(std::memory_order_relaxed), sums.inodes.load(std::memory_order_relaxed)};
    if (directory.depth() == 0) {
      Root& root = roots_[sums.root];
      root.bytes.fetch_add(static_cast<std::int64_t>(usage.bytes), std::memory_order_relaxed);
      root.inodes.fetch_add(static_cast<std::int64_t>(usage.inodes), std::memory_order_relaxed);
      return;
    }
    if (options_.separate) {
      separate_bytes_.fetch_add(usage.bytes, std::memory_order_relaxed);
      separate_inodes_.fetch_add(usage.inodes, std::memory_order_relaxed);
    } else {
      directory.parent()->state_as<Sums>().add(usage.bytes, usage.inodes);
    }
    if (directory.depth() <= options_.max_depth) told_(lane, directory.path(), usage);
  }

  void failed(Lane&, Directory& directory, Stage, int error) override {
    failures_.add("cannot read directory", directory.path(), error);
  }

  UsageResult result() const {
    UsageResult result;
    for (std::size_t number = 0; number < roots_.size(); ++number) {
      const Root& root = roots_[number];
      UsageOfRoot of{paths_[number], {}, is_shown(number) && !root.met};
      if (of.shown) {
        of.usage = {static_cast<std::uint64_t>(root.bytes.load()), static_cast<std::uint64_t>(root.inodes.load())};
      }
      result.total.bytes += of.usage.bytes;
      result.total.inodes += of.usage.inodes;
      result.roots.push_back(std::move(of));
    }
    result.total.bytes += separate_bytes_;
    result.total.inodes += separate_inodes_;
    return result;
  }

 private:
  bool is_shown(std::size_t number) const { return roots_[number].there && !roots_[number].elsewhere; }

  // Adds what `status` says; true if it is a directory to be walked.
  bool count(Lane& lane, Directory& directory, std::size_t number, const struct statx& status, const Entry& entry,
             std::unique_ptr<DirectoryState>& child_state) {
    const bool is_root = directory.is_above_roots();
    const bool is_directory = type_of(status) == DT_DIR;
    const std::uint64_t bytes = options_.apparent ? status.stx_size : status.stx_blocks * 512;
    if (!is_root && is_other_file_system(number, status, is_directory)) return false;
    if (!is_root && counts_elsewhere(number, status)) return false;
    if (is_directory) {
      child_state = std::make_unique<Sums>(number, bytes);
      return true;
    }
    if (status.stx_nlink > 1 && !options_.count_links) {
      const std::size_t before = linked_.meet(file_of(status), number);
      if (before != Linked::kNew) {
        if (number < before) move(before, number, static_cast<std::int64_t>(bytes));
        return false;
      }
    }
    if (is_root) {
      roots_[number].bytes.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
      roots_[number].inodes.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    directory.state_as<Sums>().add(bytes, 1);
    if (options_.files && directory.depth() < options_.max_depth) {
      told_(lane, directory.path_of(entry.view()), {bytes, 1});
    }
    return false;
  }

  bool is_other_file_system(std::size_t number, const struct statx& status, bool is_directory) const {
    return options_.one_file_system && is_directory &&
           file_of(status).device != file_of(roots_[number].status).device;
  }

  // Whether it is a root itself, and an earlier one.
  bool counts_elsewhere(std::size_t number, const struct statx& status) {
    if (numbers_.empty()) return false;
    const auto found = numbers_.find(file_of(status));
    if (found == numbers_.end() || found->second == number) return false;
    if (found->second < number) return true;
    roots_[found->second].met.store(true, std::memory_order_relaxed);
    return false;
  }

  void move(std::size_t from, std::size_t to, std::int64_t bytes) {
    roots_[from].bytes.fetch_sub(bytes, std::memory_order_relaxed);
    roots_[from].inodes.fetch_sub(1, std::memory_order_relaxed);
    roots_[to].bytes.fetch_add(bytes, std::memory_order_relaxed);
    roots_[to].inodes.fetch_add(1, std::memory_order_relaxed);
  }

  const UsageOptions& options_;
  const Exclude exclude_;
  const UsageTold& told_;
  const std::vector<std::string>& paths_;
  Failures failures_;
  std::vector<Root> roots_;
  std::unordered_map<File, std::size_t, HashFile> numbers_;  // of the roots, where there are several
  Linked linked_;
  std::atomic<std::uint64_t> separate_bytes_{0};
  std::atomic<std::uint64_t> separate_inodes_{0};
};

class LookTask final : public Task {
 public:
  LookTask(SumUp& operation, std::size_t number) : operation_(operation), number_(number) {}
  void run(Lane& lane) override { operation_.look(lane, number_); }

 private:
  SumUp& operation_;
  const std::size_t number_;
};

}  // namespace

UsageResult usage(const Run& run, const std::vector<std::string>& roots, const UsageOptions& options,
                  const UsageTold& told) {
  Crew crew(crew_options(run));
  SumUp operation(run, options, told, roots);
  for (std::size_t number = 0; number < roots.size(); ++number) {
    crew.add(std::make_unique<LookTask>(operation, number));
  }
  bool finished = run_crew(crew, run);
  operation.compare_roots();
  Walk walk(crew, operation);
  operation.add_to(walk);
  finished = run_crew(crew, run) && finished;
  UsageResult result = operation.result();
  result.finished = finished;
  return result;
}

}  // namespace madang::files

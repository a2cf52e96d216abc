#include <algorithm>
#include <array>
#include <cerrno>

#include "archive_order.hpp"
#include "archive_walk.hpp"

namespace madang::files {
namespace {

struct Found {
  std::string path;
  std::uint32_t root;
  std::uint32_t relative_at;  // where what is below the root begins; the path's size: the root itself
  unsigned char type;
  bool is_root() const { return relative_at >= path.size(); }
};

// As if a slash were less than any other byte: what is in a directory follows it at once.
bool comes_before(const Found& a, const Found& b) {
  if (a.root != b.root) return a.root < b.root;
  const std::size_t shorter = std::min(a.path.size(), b.path.size());
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<int>(static_cast<unsigned char>(c)) + 1; };
  for (std::size_t i = 0; i < shorter; ++i) {
    if (a.path[i] != b.path[i]) return rank(a.path[i]) < rank(b.path[i]);
  }
  return a.path.size() < b.path.size();
}

class Collecting final : public ArchiveWalk {
 public:
  Collecting(Archiver& archiver, const ArchiveOptions& options, std::uint32_t root)
      : ArchiveWalk(archiver, options), root_(root), lanes_(Crew::kMaxLanes) {}

  void take(std::vector<Found>& all) {
    for (std::vector<Found>& some : lanes_) {
      std::move(some.begin(), some.end(), std::back_inserter(all));
      some.clear();
    }
  }

 protected:
  void found(Lane& lane, const Directory& directory, int, const Entry&, const std::string& path,
             unsigned char type) override {
    const std::size_t relative_at =
        directory.is_above_roots() ? path.size() : directory.path().size() - directory.relative().size();
    add(lane, path, relative_at, type, directory.is_above_roots());
  }
  void found_directory(Lane& lane, const Directory& directory, int, const struct stat&) override {
    add(lane, directory.path(), directory.path().size() - directory.relative().size(), DT_DIR,
        directory.depth() == 0);
  }

 private:
  void add(Lane& lane, const std::string& path, std::size_t relative_at, unsigned char type, bool is_root) {
    // Below "dir" begins after a slash that "dir" itself has not.
    if (!is_root && relative_at < path.size() && path[relative_at] == '/') ++relative_at;
    lanes_[lane.index()].push_back(
        {path, root_, static_cast<std::uint32_t>(is_root ? path.size() : relative_at), type});
  }

  const std::uint32_t root_;
  std::vector<std::vector<Found>> lanes_;
};

// Hands out parts of the list in order, and lets them be added in that order.
class Parts final : public Order {
 public:
  struct Part {
    std::uint64_t number;
    std::size_t begin;
    std::size_t end;
  };

  explicit Parts(std::size_t size) : size_(size), part_of_lane_(Crew::kMaxLanes) {}

  bool next(Lane& lane, Part& part, bool& more) {
    std::lock_guard lock(mutex_);
    if (taken_ == size_) return false;
    part = {num_parts_++, taken_, std::min(size_, taken_ + lane.crew().batch_size())};
    taken_ = part.end;
    more = taken_ < size_;
    part_of_lane_[lane.index()] = part.number;
    return true;
  }

  void wait(Lane& lane) override {
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = part_of_lane_[lane.index()];
    while (finished_ != mine && !lane.should_stop()) {
      // Each has a condition of its own: fewer parts are under way than there are lanes.
      turns_[mine % turns_.size()].wait_for(lock, std::chrono::milliseconds(50));
    }
  }

  void finished(const Part& part) {
    std::lock_guard lock(mutex_);
    finished_ = part.number + 1;
    turns_[finished_ % turns_.size()].notify_one();
  }

 private:
  const std::size_t size_;
  std::mutex mutex_;
  std::size_t taken_ = 0;
  std::uint64_t num_parts_ = 0;
  std::uint64_t finished_ = 0;
  std::vector<std::uint64_t> part_of_lane_;
  std::array<std::condition_variable, Crew::kMaxLanes> turns_;
};

struct Work {
  Archiver& archiver;
  const std::vector<ArchiveRoot>& roots;
  const std::vector<Found>& list;
  std::vector<Descriptor> root_handles;  // of those that are directories
  Parts parts;
};

class PartTask final : public Task {
 public:
  explicit PartTask(Work& work) : work_(work) {}

  void run(Lane& lane) override {
    Parts::Part part;
    bool more = false;
    if (!work_.parts.next(lane, part, more)) return;
    if (more) lane.push(std::make_unique<PartTask>(work_));  // for somebody else meanwhile
    work_.archiver.keep_order(lane, &work_.parts);
    for (std::size_t i = part.begin; i < part.end && !lane.should_stop(); ++i) add(lane, work_.list[i]);
    work_.archiver.flush(lane);
    work_.parts.wait(lane);
    work_.parts.finished(part);
  }

 private:
  void add(Lane& lane, const Found& found) {
    if (found.is_root()) {
      add_in(lane, work_.roots[found.root].at_fd, found.path.c_str(), found);
      return;
    }
    const std::string_view relative = std::string_view(found.path).substr(found.relative_at);
    const std::size_t slash = relative.rfind('/');
    const std::string_view parent = slash == std::string_view::npos ? "" : relative.substr(0, slash);
    if (!opened_ || opened_root_ != found.root || opened_path_ != parent) {
      lane.request();
      opened_ = open_directory(work_.root_handles[found.root].get(), parent);
      if (!opened_) {
        work_.archiver.fail_or_vanished("Cannot open", found.path, errno, false);
        return;
      }
      opened_root_ = found.root;
      opened_path_ = parent;
    }
    add_in(lane, opened_.get(), relative.data() + (slash == std::string_view::npos ? 0 : slash + 1), found);
  }

  void add_in(Lane& lane, int fd, const char* name, const Found& found) {
    if (found.type != DT_DIR) {
      work_.archiver.add(lane, fd, name, found.path, found.type);
      return;
    }
    lane.request();
    const Descriptor directory(openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status;
    if (!directory || fstat(directory.get(), &status) != 0) {
      work_.archiver.fail_or_vanished("Cannot open", found.path, errno, false);
    } else {
      work_.archiver.add_directory(lane, directory.get(), status, found.path);
    }
  }

  Work& work_;
  Descriptor opened_;
  std::uint32_t opened_root_ = 0;
  std::string opened_path_;
};

}  // namespace

bool archive_sorted(Crew& crew, Archiver& archiver, const std::vector<ArchiveRoot>& roots,
                    const ArchiveOptions& options, const Run& run) {
  std::vector<Found> list;
  for (std::uint32_t i = 0; i < roots.size(); ++i) {
    Collecting operation(archiver, options, i);
    Walk walk(crew, operation);
    walk.add(roots[i].path, false, roots[i].at_fd);
    if (!run_crew(crew, run)) return false;
    operation.take(list);
  }
  std::sort(list.begin(), list.end(), comes_before);
  Work work{archiver, roots, list, {}, Parts(list.size())};
  for (const ArchiveRoot& root : roots) {
    work.root_handles.emplace_back(openat(root.at_fd, root.path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  crew.add(std::make_unique<PartTask>(work));
  return run_crew(crew, run);
}

}  // namespace madang::files

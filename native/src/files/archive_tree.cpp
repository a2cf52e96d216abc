#include "archive_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace madang::files {
namespace {

constexpr std::size_t kLargestPart = 32;
constexpr unsigned kPartsAtOnce = 8;
// Lanes that have listed that much ahead read files first.
constexpr std::int64_t kMostListed = 1'000'000;

}  // namespace

// Reads one part. There is always one such task, or the tree is stalled.
class PartTask final : public Task {
 public:
  explicit PartTask(ArchiveTree& tree) : tree_(tree) {}
  void run(Lane& lane) override {
    if (!tree_.make_part(lane, true)) return;
    // Some more without a task for each, which somebody would be woken for. Not all: what is beneath has to
    // be listed meanwhile.
    for (unsigned i = 1; i < kPartsAtOnce && !lane.should_stop(); ++i) {
      if (!tree_.make_part(lane, false)) return;
    }
  }

 private:
  ArchiveTree& tree_;
};

ArchiveTree::Branch::~Branch() {
  if (fd && num_open) num_open->fetch_sub(1, std::memory_order_relaxed);
}

ArchiveTree::ArchiveTree(Archiver& archiver, ArchiveOrder& order, const std::vector<ArchiveRoot>& roots,
                         const ArchiveOptions& options)
    : archiver_(archiver),
      order_(order),
      roots_(roots),
      options_(options),
      exclude_(options.exclude),
      most_open_(std::max(2, free_descriptors() / 3)),
      above_(std::make_shared<Branch>()),
      is_known_(roots.size()) {
  above_->listed = true;
  above_->is_open = true;
  above_->items.resize(roots.size(), {0, kNoChild, 0});
  above_->children.resize(roots.size());
  cursor_.push_back({above_, true, 0});
}

void ArchiveTree::add_to(Walk& walk) {
  for (std::size_t i = 0; i < roots_.size(); ++i) {
    walk.add(roots_[i].path, false, roots_[i].at_fd, std::make_unique<AboveRoot>(i));
  }
}

// -- finding -------------------------------------------------------------------------------------

// 0 where there is nothing to be archived.
unsigned char ArchiveTree::type_of(Lane& lane, Directory& directory, int fd, const Entry& entry,
                                   const std::string& path) {
  if (entry.type != DT_UNKNOWN) return entry.type;
  struct stat status;
  lane.request();
  if (fstatat(fd, entry.name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    archiver_.fail_or_vanished("Cannot stat", path, errno, directory.is_above_roots());
    return 0;
  }
  return static_cast<unsigned char>((status.st_mode & S_IFMT) >> 12);
}

bool ArchiveTree::entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
                        std::unique_ptr<DirectoryState>& child_state) {
  const bool is_root = directory.is_above_roots();
  unsigned char type = entry.type;
  if (type == DT_UNKNOWN || !exclude_.empty()) {
    const std::string path = directory.path_of(entry.view());
    type = exclude_.matches(path) ? 0 : type_of(lane, directory, fd, entry, path);
  }
  Pointer child;
  if (type == DT_DIR && options_.recursive) {
    child = std::make_shared<Branch>();
    child->num_open = &num_open_;
    child->path = directory.path_of(entry.view());
    child_state = std::make_unique<InBranch>(child);
  }
  if (is_root) {
    if (child) child->relative_at = child->path.size();
    set_root(lane, directory.state_as<AboveRoot>().number, type, child);
    return child != nullptr;
  }
  if (type == 0) return false;
  Branch& parent = *directory.state_as<InBranch>().branch;
  if (child) {
    child->parent = &parent;
    child->root = parent.root ? parent.root : directory.state_as<InBranch>().branch;
    const std::size_t root_size = child->root->path.size();
    child->relative_at = root_size + (child->path[root_size] == '/' ? 1 : 0);
  }
  num_waiting_.fetch_add(1, std::memory_order_relaxed);
  std::lock_guard lock(parent.mutex);
  const auto name_at = static_cast<std::uint32_t>(parent.names.size());
  if (child && !options_.sort_by_name) {  // it comes when it is listed, in any order
    ++parent.num_children_left;
    return true;
  }
  parent.names.append(entry.view()).push_back('\0');
  parent.items.push_back({name_at, child ? static_cast<std::uint32_t>(parent.children.size()) : kNoChild, type});
  if (child) parent.children.push_back(std::move(child));
  return parent.items.back().child != kNoChild;
}

void ArchiveTree::set_root(Lane& lane, std::size_t number, unsigned char type, Pointer child) {
  {
    std::lock_guard lock(mutex_);
    above_->items[number] = {0, child ? static_cast<std::uint32_t>(number) : kNoChild, type};
    above_->children[number] = std::move(child);
    is_known_[number] = true;
  }
  resume(lane);
}

bool ArchiveTree::entered(Lane& lane, Directory& directory, int fd) {
  Branch& branch = *directory.state_as<InBranch>().branch;
  if (fstat(fd, &branch.status) != 0) {
    archiver_.fail("Cannot stat", directory.path(), errno);
    return false;
  }
  branch.is_open = true;
  // The root's stays, so that what is beneath can be opened again from there.
  if (!branch.root || num_open_.load(std::memory_order_relaxed) < most_open_) {
    branch.fd = Descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (branch.fd) num_open_.fetch_add(1, std::memory_order_relaxed);
  }
  if (options_.one_file_system && branch.root && branch.root->status.st_dev != branch.status.st_dev) {
    archiver_.notice(Notice::other_filesystem, directory.path());
    return false;
  }
  while (num_waiting_.load(std::memory_order_relaxed) > kMostListed && !lane.should_stop()) {
    if (!make_part(lane, false)) break;
  }
  return true;
}

void ArchiveTree::listed(Lane& lane, Directory& directory) {
  const Pointer branch = directory.state_as<InBranch>().branch;
  if (options_.sort_by_name) {
    const char* names = branch->names.data();
    std::sort(branch->items.begin(), branch->items.end(), [names](const Branch::Item& a, const Branch::Item& b) {
      return std::string_view(names + a.name_at) < std::string_view(names + b.name_at);
    });
  }
  {
    std::lock_guard lock(mutex_);
    branch->listed = true;
    if (branch->parent && !options_.sort_by_name) branch->parent->listed_children.push_back(branch);
  }
  resume(lane);
}

void ArchiveTree::failed(Lane&, Directory& directory, Stage stage, int error) {
  const char* action = stage == Stage::open ? "Cannot open" : "Cannot read directory";
  archiver_.fail_or_vanished(action, directory.path(), error, directory.depth() == 0);
}

void ArchiveTree::resume(Lane& lane) {
  {
    std::lock_guard lock(mutex_);
    if (!stalled_) return;
    stalled_ = false;
  }
  lane.push(std::make_unique<PartTask>(*this));
}

// -- parts ---------------------------------------------------------------------------------------

bool ArchiveTree::next_part(std::size_t most, Part& part) {
  std::lock_guard lock(mutex_);
  std::size_t count = 0;
  while (count < most && !cursor_.empty() && advance(most, part, count)) {
  }
  if (part.ranges.empty()) return false;
  part.number = num_parts_++;
  part.more = !cursor_.empty();
  return true;
}

// Takes some items or goes to another directory; false where that has to be listed first.
bool ArchiveTree::advance(std::size_t most, Part& part, std::size_t& count) {
  Level& level = cursor_.back();
  const Pointer branch = level.branch;
  const bool above = branch == above_;
  if (!branch->listed) return false;
  if (!level.itself_taken) {
    level.itself_taken = true;
    if (branch->is_open) {
      part.ranges.push_back({branch, true, 0, 0});
      ++count;
    }
  }
  std::size_t end = level.next;
  while (end < branch->items.size() && count < most && branch->items[end].child == kNoChild &&
         (!above || is_known_[end])) {
    ++end;
    ++count;
  }
  if (end != level.next) {
    Range* last = part.ranges.empty() ? nullptr : &part.ranges.back();
    if (last && last->branch == branch && last->end == level.next) {
      last->end = end;
    } else {
      part.ranges.push_back({branch, false, level.next, end});
    }
    if (!above) num_waiting_.fetch_sub(static_cast<std::int64_t>(end - level.next), std::memory_order_relaxed);
    level.next = end;
    return true;
  }
  if (end < branch->items.size()) {
    if (count == most) return true;
    if (above && !is_known_[end]) return false;
    Pointer& child = branch->children[branch->items[end].child];
    ++level.next;
    return enter_child(std::move(child));
  }
  if (!branch->listed_children.empty()) {
    const Pointer child = std::move(branch->listed_children.back());
    branch->listed_children.pop_back();
    --branch->num_children_left;
    return enter_child(child);
  }
  if (branch->num_children_left != 0) return false;
  cursor_.pop_back();
  return true;
}

bool ArchiveTree::enter_child(const Pointer& child) {
  num_waiting_.fetch_sub(1, std::memory_order_relaxed);
  cursor_.push_back({child, false, 0});
  return true;
}

// False when there is none to be made. The next one is for whoever has time.
bool ArchiveTree::make_part(Lane& lane, bool with_successor) {
  Part part;
  if (!next_part(std::min(kLargestPart, lane.crew().batch_size()), part)) {
    if (!with_successor) return false;
    // Nobody looks after the cursor from here on; but what has been listed in between must not be missed.
    {
      std::lock_guard lock(mutex_);
      stalled_ = true;
    }
    if (!next_part(std::min(kLargestPart, lane.crew().batch_size()), part)) return false;
    std::lock_guard lock(mutex_);
    with_successor = stalled_;  // else somebody was woken meanwhile
    stalled_ = false;
  }
  order_.begin(lane, part.number);
  if (with_successor && part.more) lane.push(std::make_unique<PartTask>(*this));
  for (const Range& range : part.ranges) {
    if (!lane.should_stop()) add_range(lane, range);
  }
  archiver_.flush(lane);
  order_.finish(lane);
  return true;
}

Descriptor ArchiveTree::open_branch(const Branch& branch) const {
  const Branch& root = branch.root ? *branch.root : branch;
  if (!root.fd) {
    errno = EMFILE;
    return Descriptor();
  }
  return open_directory(root.fd.get(), std::string_view(branch.path).substr(branch.relative_at));
}

void ArchiveTree::add_range(Lane& lane, const Range& range) {
  const Branch& branch = *range.branch;
  const bool above = range.branch == above_;
  Descriptor reopened;
  int fd = branch.fd.get();
  if (!above && fd < 0) {
    lane.request();
    reopened = open_branch(branch);
    fd = reopened.get();
    if (fd < 0) {
      archiver_.fail_or_vanished("Cannot open", branch.path, errno, false);
      return;
    }
  }
  if (range.itself) archiver_.add_directory(lane, fd, branch.status, branch.path);
  std::string path = branch.path;
  if (!above && !path.empty() && path.back() != '/') path.push_back('/');
  const std::size_t directory_size = path.size();
  for (std::size_t i = range.begin; i < range.end && !lane.should_stop(); ++i) {
    const Branch::Item& item = branch.items[i];
    if (above) {
      const ArchiveRoot& root = roots_[i];
      if (item.type != 0) archiver_.add(lane, root.at_fd, root.path.c_str(), root.path, item.type);
      continue;
    }
    const char* name = branch.names.data() + item.name_at;
    path.replace(directory_size, std::string::npos, name);
    archiver_.add(lane, fd, name, path, item.type);
  }
}

}  // namespace madang::files

#include "walk.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <vector>

namespace madang::files {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
// A lane with that many tasks before it works on what it reads itself, so that memory stays small
// however wide a directory is.
constexpr std::size_t kManyTasks = 1024;
constexpr int kOpenRetries = 200;
constexpr auto kOpenRetryAfter = std::chrono::milliseconds(5);

// Names that were read, to be worked on later.
class Names {
 public:
  void add(const DirectoryReader::Record& record) {
    items_.push_back({arena_.size(), record.name.size(), record.type, record.inode});
    arena_.append(record.name).push_back('\0');
  }
  std::size_t size() const { return items_.size(); }

  Entry operator[](std::size_t number) const {
    const Item& item = items_[number];
    return {arena_.data() + item.at, item.length, item.type, item.inode};
  }

  // What comes from `first` on, apart.
  Names split_off(std::size_t first) {
    Names others;
    const std::size_t begin = items_[first].at;
    others.arena_ = arena_.substr(begin);
    for (std::size_t number = first; number < items_.size(); ++number) {
      others.items_.push_back(items_[number]);
      others.items_.back().at -= begin;
    }
    items_.resize(first);
    return others;
  }

 private:
  struct Item {
    std::size_t at;
    std::size_t length;
    unsigned char type;
    std::uint64_t inode;
  };
  std::string arena_;
  std::vector<Item> items_;
};

// With that many descriptors, half of them are enough for all lanes.
constexpr rlim_t kMany = 16 * Crew::kMaxLanes;

int count_open() {
  const Descriptor descriptors(::open("/proc/self/fd", kOpenFlags));
  if (!descriptors) return 16;
  int count = 0;
  DirectoryReader(4096).read(descriptors.get(), [&](const DirectoryReader::Record&) { ++count; });
  return count;
}

}  // namespace

// -- handles -----------------------------------------------------------------------------------

Handle::Owned::Owned(Descriptor opened, std::atomic<int>& count)
    : descriptor(std::move(opened)), num_open(count) {
  num_open.fetch_add(1, std::memory_order_relaxed);
}

Handle::Owned::~Owned() { num_open.fetch_sub(1, std::memory_order_relaxed); }

Handle::Handle(Descriptor descriptor, std::atomic<int>& num_open)
    : owned_(std::make_shared<Owned>(std::move(descriptor), num_open)) {}

Handle Handle::borrowed(int fd) {
  Handle handle;
  handle.borrowed_ = fd;
  return handle;
}

// -- directories -------------------------------------------------------------------------------

std::string Directory::path_of(std::string_view name) const {
  std::string path;
  path.reserve(path_.size() + 1 + name.size());
  path.append(path_);
  if (!path.empty() && path.back() != '/') path.push_back('/');
  return path.append(name);
}

std::string_view Directory::relative() const {
  return relative_at_ < path_.size() ? std::string_view(path_).substr(relative_at_)
                                     : std::string_view();
}

Handle Directory::held() const {
  std::lock_guard lock(mutex_);
  return handle_;
}

void Directory::hold(Handle handle) {
  std::lock_guard lock(mutex_);
  std::swap(handle_, handle);
}

Handle Directory::handle() {
  Handle handle = held();
  return handle ? handle : walk_->open(*this, Handle());
}

Directory::Pointer Directory::begin_work() {
  unfinished_.fetch_add(1, std::memory_order_relaxed);
  return shared_from_this();
}

void Directory::end_work(Lane& lane) { walk_->part_finished(lane, shared_from_this()); }

// -- tasks -------------------------------------------------------------------------------------

class RootTask final : public Task {
 public:
  RootTask(Walk& walk, Directory::Pointer above, std::string path)
      : walk_(walk), above_(std::move(above)), path_(std::move(path)) {}

  void run(Lane& lane) override {
    walk_.examine(lane, above_, above_->held(), {path_.c_str(), path_.size(), DT_UNKNOWN, 0});
  }

 private:
  Walk& walk_;
  Directory::Pointer above_;
  std::string path_;
};

// A part of a directory.
class ExamineTask final : public Task {
 public:
  ExamineTask(Directory::Pointer directory, Handle handle, Names names)
      : directory_(std::move(directory)), handle_(std::move(handle)), names_(std::move(names)) {}

  void run(Lane& lane) override {
    for (std::size_t number = 0; number < names_.size() && !lane.should_stop(); ++number) {
      // How long requests take may have been learned after the names were shared out.
      const std::size_t left = names_.size() - number;
      if (left > 2 * lane.crew().batch_size()) split(lane, number + left / 2);
      directory_->walk_->examine(lane, directory_, handle_, names_[number]);
    }
    directory_->walk_->part_listed(lane, directory_);
  }

 private:
  void split(Lane& lane, std::size_t first) {
    directory_->unlisted_.fetch_add(1, std::memory_order_relaxed);
    lane.push(std::make_unique<ExamineTask>(directory_, handle_, names_.split_off(first)));
  }

  Directory::Pointer directory_;
  Handle handle_;
  Names names_;
};

// A directory, to be opened and read.
class ReadTask final : public Task {
 public:
  ReadTask(Directory::Pointer directory, Handle parent)
      : directory_(std::move(directory)), parent_(std::move(parent)) {}

  void run(Lane& lane) override {
    Walk& walk = *directory_->walk_;
    lane.request();
    Handle handle = walk.open(*directory_, parent_);
    parent_ = Handle();
    if (!handle) {
      fail(lane, Stage::open, errno);
    } else if (is_elsewhere(walk, handle)) {
      // A mount point: an entry of its parent, and not ours to walk.
    } else {
      if (directory_->depth() == 0 || walk.operation_.keeps_handles()) directory_->hold(handle);
      if (walk.operation_.entered(lane, *directory_, handle.fd())) read(lane, handle);
    }
    handle = Handle();
    walk.part_listed(lane, directory_);
  }

 private:
  bool is_elsewhere(const Walk& walk, const Handle& handle) const {
    if (!walk.options_.one_file_system) return false;
    struct stat mine, root;
    if (directory_->depth() == 0) return false;
    return fstat(handle.fd(), &mine) == 0 && fstat(directory_->root_->held().fd(), &root) == 0 &&
           mine.st_dev != root.st_dev;
  }

  void read(Lane& lane, const Handle& handle) {
    Walk& walk = *directory_->walk_;
    const bool shares = walk.operation_.shares_directories();
    Names names;
    lane.request();
    const auto take = [&](const DirectoryReader::Record& record) {
      if (lane.crew().stopped()) return;
      if (!shares) {
        walk.examine(lane, directory_, handle,
                     {record.name.data(), record.name.size(), record.type, record.inode});
        return;
      }
      if (names.size() >= walk.crew_.batch_size()) {
        share(lane, handle, std::move(names));
        names = Names();
      }
      names.add(record);
    };
    const int error = lane.reader().read(handle.fd(), take);
    if (error != 0) fail(lane, Stage::read, error);
    if (names.size() == 0) return;
    directory_->unlisted_.fetch_add(1, std::memory_order_relaxed);
    ExamineTask(directory_, handle, std::move(names)).run(lane);
  }

  void share(Lane& lane, const Handle& handle, Names names) {
    directory_->unlisted_.fetch_add(1, std::memory_order_relaxed);
    auto task = std::make_unique<ExamineTask>(directory_, handle, std::move(names));
    if (lane.num_tasks() < kManyTasks) {
      lane.push(std::move(task));
    } else {
      task->run(lane);
    }
  }

  void fail(Lane& lane, Stage stage, int error) {
    directory_->failed_.store(true, std::memory_order_relaxed);
    directory_->walk_->operation_.failed(lane, *directory_, stage, error);
  }

  Directory::Pointer directory_;
  Handle parent_;  // empty: there are too many open, its path will do
};

// -- walk --------------------------------------------------------------------------------------

Walk::Walk(Crew& crew, Operation& operation, WalkOptions options)
    : crew_(crew),
      operation_(operation),
      options_(options),
      most_open_(std::max(2, free_descriptors() / 3)) {}

void Walk::add(std::string path, bool follow, int at_fd, std::unique_ptr<DirectoryState> state) {
  auto above = std::make_shared<Directory>();
  above->walk_ = this;
  above->state = std::move(state);
  above->handle_ = Handle::borrowed(at_fd);
  above->follow_ = follow;
  above_roots_.push_back(above);
  crew_.add(std::make_unique<RootTask>(*this, above, std::move(path)));
}

void Walk::add_open(int fd) {
  auto above = std::make_shared<Directory>();
  above->walk_ = this;
  above_roots_.push_back(above);
  Directory::Pointer root = child(above, "");
  crew_.add(std::make_unique<ReadTask>(root, Handle::borrowed(fd)));
}

Directory::Pointer Walk::child(const Directory::Pointer& parent, std::string_view name) {
  auto directory = std::make_shared<Directory>();
  directory->walk_ = this;
  directory->path_ = parent->path_of(name);
  directory->parent_ = parent;
  directory->name_at_ = directory->path_.size() - name.size();
  if (parent->is_above_roots()) {
    const bool slash = !name.empty() && name.back() != '/';
    directory->root_ = directory.get();
    directory->relative_at_ = directory->path_.size() + (slash ? 1 : 0);
    directory->follow_ = parent->follow_;
  } else {
    directory->root_ = parent->root_;
    directory->relative_at_ = parent->relative_at_;
    directory->depth_ = parent->depth_ + 1;
  }
  return directory;
}

Handle Walk::open(Directory& directory, const Handle& parent) {
  for (int attempt = 0;; ++attempt) {
    Descriptor opened;
    if (parent) {
      const char* name = *directory.name() ? directory.name() : ".";
      const bool follow = directory.follow_ && directory.depth_ == 0;
      opened = Descriptor(openat(parent.fd(), name, kOpenFlags | (follow ? 0 : O_NOFOLLOW)));
    } else {
      opened = open_directory(directory.root_->held().fd(), directory.relative());
    }
    if (opened) return Handle(std::move(opened), num_open_);
    const bool too_many = errno == EMFILE || errno == ENFILE;
    if (errno != EINTR && !(too_many && attempt < kOpenRetries)) return Handle();
    if (too_many) std::this_thread::sleep_for(kOpenRetryAfter);  // others will let some go
  }
}

void Walk::examine(Lane& lane, const Directory::Pointer& directory, const Handle& handle,
                   const Entry& entry) {
  std::unique_ptr<DirectoryState> child_state;
  if (!operation_.entry(lane, *directory, handle.fd(), entry, child_state)) return;
  Directory::Pointer found = child(directory, entry.view());
  found->state = std::move(child_state);
  directory->unfinished_.fetch_add(1, std::memory_order_relaxed);
  const bool hand_on = directory->is_above_roots() || may_hold();
  lane.push(std::make_unique<ReadTask>(std::move(found), hand_on ? handle : Handle()));
}

void Walk::part_listed(Lane& lane, const Directory::Pointer& directory) {
  if (directory->unlisted_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (lane.crew().stopped()) return;
  operation_.listed(lane, *directory);
  // The root's stays: whatever was let go is opened again from there.
  if (directory->depth() != 0 && !(operation_.keeps_handles() && may_hold())) {
    directory->hold(Handle());
  }
  part_finished(lane, directory);
}

void Walk::part_finished(Lane& lane, Directory::Pointer directory) {
  while (!directory->is_above_roots()) {
    if (directory->unfinished_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (lane.crew().stopped()) return;
    operation_.left(lane, *directory);
    directory->hold(Handle());
    directory = directory->parent();
  }
}

int status_of(int fd, const char* name, unsigned mask, struct statx& status) {
  while (statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, mask, &status) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int free_descriptors() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  const rlim_t most = std::min<rlim_t>(limit.rlim_cur, 1 << 20);
  if (most >= kMany) return static_cast<int>(most / 2);  // then it need not be counted
  return std::max(4, static_cast<int>(most) - count_open());
}

unsigned lanes_for(int free_descriptors) {
  return std::clamp(static_cast<unsigned>(free_descriptors) / 4, 1u, Crew::kMaxLanes);
}

}  // namespace madang::files

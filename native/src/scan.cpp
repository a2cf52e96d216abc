#include "scan.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>

#include "directory.hpp"

namespace madang {
namespace {

// Names of a large directory are examined in batches, so that several threads share it.
constexpr std::size_t kBatchNames = 512;
constexpr auto kInterruptPoll = std::chrono::milliseconds(50);

struct Directory {
  std::string path;  // relative to the root, "" for the root
  Descriptor descriptor;
};

// A piece of work: a directory to read or, with `names`, a part of an open directory to examine.
struct Task {
  std::shared_ptr<Directory> directory;
  std::vector<std::string> names;
};

struct Record {
  std::uint64_t path_offset;
  std::uint32_t path_bytes;
  std::uint32_t mode;
  std::uint64_t size;
  std::int64_t mtime_ns;
};

// What one thread has found; nobody else touches it before the threads have ended.
struct Findings {
  std::string arena;
  std::vector<Record> records;
  std::vector<std::pair<std::string, int>> errors;

  std::string_view path(const Record& record) const {
    return std::string_view(arena).substr(record.path_offset, record.path_bytes);
  }

  void sort() {
    std::sort(records.begin(), records.end(),
              [this](const Record& a, const Record& b) { return path(a) < path(b); });
  }
};

// Last in, first out: few directories are open at a time, however wide or deep the tree is.
class WorkStack {
 public:
  void push(Task task) {
    {
      std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
      ++unfinished_;
    }
    available_.notify_one();
  }

  // False when all work is done or was given up.
  bool pop(Task& task) {
    std::unique_lock lock(mutex_);
    available_.wait(lock, [this] { return stopped_ || !tasks_.empty() || unfinished_ == 0; });
    if (stopped_ || tasks_.empty()) return false;
    task = std::move(tasks_.back());
    tasks_.pop_back();
    return true;
  }

  // Says that a popped task, and all that it pushed, is accounted for.
  void finish() {
    std::lock_guard lock(mutex_);
    if (--unfinished_ == 0) notify_ended();
  }

  void stop() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    notify_ended();
  }

  // Waits a moment; true when all work is done or was given up.
  bool wait_done() {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, kInterruptPoll, [this] { return stopped_ || unfinished_ == 0; });
  }

 private:
  void notify_ended() {
    available_.notify_all();
    ended_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable available_;  // for the workers
  std::condition_variable ended_;      // for the calling thread
  std::vector<Task> tasks_;
  std::size_t unfinished_ = 0;
  bool stopped_ = false;
};

std::string join(const std::string& parent, std::string_view name) {
  std::string path;
  path.reserve(parent.size() + 1 + name.size());
  if (!parent.empty()) path.append(parent).push_back('/');
  return path.append(name);
}

// Gone, or replaced by something else, between being listed and being looked at. (Not so the root:
// that was the caller's to choose.)
bool vanished(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

class Worker {
 public:
  Worker(int root_fd, WorkStack& stack) : root_fd_(root_fd), stack_(stack) {}

  // Works until nothing is left; keeps what it throws for `result`.
  void run() noexcept {
    try {
      Task task;
      while (stack_.pop(task)) {
        if (task.names.empty()) {
          read_directory(task.directory);
        } else {
          examine(*task.directory, task.names);
        }
        task = Task();
        stack_.finish();
      }
      findings_.sort();
    } catch (...) {
      failure_ = std::current_exception();
      stack_.stop();
    }
  }

  Findings& result() {
    if (failure_) std::rethrow_exception(failure_);
    return findings_;
  }

 private:
  void read_directory(const std::shared_ptr<Directory>& directory) {
    directory->descriptor = open_directory(root_fd_, directory->path);
    if (!directory->descriptor) return note(directory->path, errno);
    std::vector<std::string> names;
    const int error = reader_.read(directory->descriptor.get(), [&](const DirectoryReader::Record& record) {
      names.emplace_back(record.name);
      if (names.size() == kBatchNames) {
        stack_.push({directory, std::move(names)});
        names.clear();
      }
    });
    if (error != 0) note(directory->path, error);
    examine(*directory, names);
  }

  void examine(const Directory& directory, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      struct statx status;
      if (statx(directory.descriptor.get(), name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
                STATX_TYPE | STATX_MODE | STATX_SIZE | STATX_MTIME, &status) != 0) {
        note(join(directory.path, name), errno);
        continue;
      }
      std::string path = join(directory.path, name);
      record(path, status);
      if (S_ISDIR(status.stx_mode)) {
        stack_.push({std::make_shared<Directory>(Directory{std::move(path), Descriptor()}), {}});
      }
    }
  }

  void record(const std::string& path, const struct statx& status) {
    findings_.records.push_back(
        {findings_.arena.size(), static_cast<std::uint32_t>(path.size()), status.stx_mode,
         status.stx_size,
         status.stx_mtime.tv_sec * 1'000'000'000 + status.stx_mtime.tv_nsec});
    findings_.arena.append(path);
  }

  void note(const std::string& path, int error) {
    if (path.empty() || !vanished(error)) findings_.errors.emplace_back(path, error);
  }

  int root_fd_;
  WorkStack& stack_;
  DirectoryReader reader_;
  Findings findings_;
  std::exception_ptr failure_;
};

// Puts a record at the end of every column.
void append(Listing& listing, const Findings& findings, const Record& record) {
  listing.paths.append(findings.path(record));
  listing.offsets.push_back(listing.paths.size());
  listing.sizes.push_back(record.size);
  listing.mtimes_ns.push_back(record.mtime_ns);
  listing.kinds.push_back(static_cast<std::uint8_t>((record.mode & S_IFMT) >> 12));
  listing.modes.push_back(record.mode & 07777);
}

Listing reserve_for(const std::vector<Findings*>& parts) {
  std::size_t num_records = 0;
  std::size_t path_bytes = 0;
  for (const Findings* part : parts) {
    num_records += part->records.size();
    path_bytes += part->arena.size();
  }
  Listing listing;
  listing.paths.reserve(path_bytes);
  listing.offsets.reserve(num_records + 1);
  listing.offsets.push_back(0);
  listing.sizes.reserve(num_records);
  listing.mtimes_ns.reserve(num_records);
  listing.kinds.reserve(num_records);
  listing.modes.reserve(num_records);
  return listing;
}

// Merges the sorted parts. No path is in two of them.
Listing merge(const std::vector<Findings*>& parts) {
  struct Cursor {
    const Findings* part;
    std::size_t index;
    std::string_view path() const { return part->path(part->records[index]); }
  };
  const auto later = [](const Cursor& a, const Cursor& b) { return b.path() < a.path(); };

  Listing listing = reserve_for(parts);
  std::vector<Cursor> heap;
  for (Findings* part : parts) {
    if (!part->records.empty()) heap.push_back({part, 0});
    std::move(part->errors.begin(), part->errors.end(), std::back_inserter(listing.errors));
  }
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Cursor& first = heap.back();
    append(listing, *first.part, first.part->records[first.index]);
    if (++first.index < first.part->records.size()) {
      std::push_heap(heap.begin(), heap.end(), later);
    } else {
      heap.pop_back();
    }
  }
  std::sort(listing.errors.begin(), listing.errors.end());
  return listing;
}

// Starts as many threads as the system lets us have.
std::vector<std::thread> start(std::vector<Worker>& workers) {
  std::vector<std::thread> threads;
  threads.reserve(workers.size());
  try {
    for (Worker& worker : workers) threads.emplace_back(&Worker::run, &worker);
  } catch (const std::system_error&) {
    // The limit of processes is reached: those that have started do all the work.
  }
  return threads;
}

}  // namespace

Listing scan(int root_fd, unsigned num_threads, const std::function<bool()>& interrupted) {
  WorkStack stack;
  std::vector<Worker> workers;
  workers.reserve(num_threads);
  for (unsigned i = 0; i < num_threads; ++i) workers.emplace_back(root_fd, stack);
  stack.push({std::make_shared<Directory>(), {}});

  std::vector<std::thread> threads = start(workers);
  if (threads.empty()) workers.front().run();
  while (!stack.wait_done()) {
    if (interrupted()) stack.stop();
  }
  for (std::thread& thread : threads) thread.join();

  std::vector<Findings*> parts;
  for (Worker& worker : workers) parts.push_back(&worker.result());
  return merge(parts);
}

}  // namespace madang

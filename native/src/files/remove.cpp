#include "remove.hpp"

#include <unistd.h>

#include <cerrno>

#include "exclude.hpp"

namespace madang::files {
namespace {

constexpr const char* kAction = "cannot remove";
// A directory into which others write, or whose file system skips names while some are removed, is
// read again that often.
constexpr int kReadAgain = 3;

// What is left in a directory on purpose or by failure: then it can't be removed, and nobody needs
// to be told of it again.
struct Kept final : DirectoryState {
  std::atomic<bool> something{false};
};

class Removal final : public Operation {
 public:
  Removal(const RemoveOptions& options, const Run& run)
      : options_(options), failures_(run), exclude_(options.exclude) {}

  bool entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
             std::unique_ptr<DirectoryState>& child_state) override {
    if (exclude_.matches(directory, entry)) return keep(directory);
    unsigned char type = entry.type;
    if (type == DT_UNKNOWN && !find_type(lane, directory, fd, entry, type)) return false;
    if (type != DT_DIR) return unlink(lane, directory, fd, entry);
    if (!options_.recursive) return remove_empty(lane, directory, fd, entry);
    child_state = std::make_unique<Kept>();
    return true;
  }

  void left(Lane& lane, Directory& directory) override {
    if (directory.state_as<Kept>().something || directory.failed()) {
      keep(*directory.parent());
      return;
    }
    const std::string& path = directory.path();
    if (!options_.dry_run) {
      const Handle parent = directory.parent()->handle();
      lane.request();
      int error = parent ? remove_directory(parent.fd(), directory.name()) : errno;
      for (int again = 0; error == ENOTEMPTY && again < kReadAgain; ++again) {
        if (!empty(lane, directory)) return;
        lane.request();
        error = remove_directory(parent.fd(), directory.name());
      }
      if (error == ENOENT && options_.missing_is_fine) return;
      if (error != 0) return fail(*directory.parent(), path, error);
    }
    count(lane, directories_, path, true);
  }

  void failed(Lane&, Directory& directory, Stage, int error) override {
    // Gone already is what was wanted.
    if (error == ENOENT && options_.missing_is_fine) return;
    failures_.add(kAction, directory.path(), error);
  }

  // The kernel lets one at a time change a directory: more lanes there would only wait.
  bool shares_directories() const override { return false; }
  bool keeps_handles() const override { return true; }

  Removed result(bool complete) const {
    return {files_.load(), directories_.load(), failures_.count(), complete};
  }

 private:
  bool find_type(Lane& lane, Directory& directory, int fd, const Entry& entry, unsigned char& type) {
    struct statx status;
    lane.request();
    const int error = status_of(fd, entry.name, STATX_TYPE, status);
    if (error == 0) {
      type = type_of(status);
      return true;
    }
    if (error != ENOENT || !options_.missing_is_fine) {
      fail(directory, directory.path_of(entry.view()), error);
    }
    return false;
  }

  bool unlink(Lane& lane, Directory& directory, int fd, const Entry& entry) {
    if (!options_.dry_run) {
      lane.request();
      int error = 0;
      while (unlinkat(fd, entry.name, 0) != 0 && (error = errno) == EINTR) error = 0;
      // Somebody else was first: it is gone, as wanted.
      if (error == ENOENT && (options_.missing_is_fine || !directory.is_above_roots())) return false;
      if (error != 0) {
        fail(directory, directory.path_of(entry.view()), error);
        return false;
      }
    }
    if (options_.removed) {
      count(lane, files_, directory.path_of(entry.view()), false);
    } else {
      count(lane, files_, directory.path(), false);
    }
    return false;
  }

  bool remove_empty(Lane& lane, Directory& directory, int fd, const Entry& entry) {
    const std::string path = directory.path_of(entry.view());
    if (!options_.empty_directories) {
      fail(directory, path, EISDIR);
      return false;
    }
    lane.request();
    const int error = options_.dry_run ? 0 : remove_directory(fd, entry.name);
    if (error != 0) {
      fail(directory, path, error);
    } else {
      count(lane, directories_, path, true);
    }
    return false;
  }

  static int remove_directory(int parent_fd, const char* name) {
    while (unlinkat(parent_fd, name, AT_REMOVEDIR) != 0) {
      if (errno != EINTR) return errno == EEXIST ? ENOTEMPTY : errno;
    }
    return 0;
  }

  // Removes files that have come, or were not seen. False: something can't be, and that was told.
  bool empty(Lane& lane, Directory& directory) {
    const Handle handle = directory.handle();
    if (!handle) return true;
    bool all = true;
    lseek(handle.fd(), 0, SEEK_SET);
    lane.reader().read(handle.fd(), [&](const DirectoryReader::Record& record) {
      const Entry entry{record.name.data(), record.name.size(), record.type, record.inode};
      if (record.type == DT_DIR) {
        if (all) fail(*directory.parent(), directory.path(), ENOTEMPTY);
        all = false;
      } else {
        unlink(lane, directory, handle.fd(), entry);
      }
    });
    if (directory.state_as<Kept>().something) {
      keep(*directory.parent());
      return false;
    }
    return all;
  }

  void count(Lane& lane, std::atomic<std::uint64_t>& counter, const std::string& path, bool is_directory) {
    counter.fetch_add(1, std::memory_order_relaxed);
    lane.done().add(1);
    if (options_.removed) options_.removed(lane, path, is_directory);
  }

  void fail(Directory& directory, std::string path, int error) {
    keep(directory);
    failures_.add(kAction, std::move(path), error);
  }

  static bool keep(Directory& directory) {
    if (directory.state) directory.state_as<Kept>().something = true;
    return false;
  }

  const RemoveOptions& options_;
  Failures failures_;
  Exclude exclude_;
  std::atomic<std::uint64_t> files_{0};
  std::atomic<std::uint64_t> directories_{0};
};

}  // namespace

Removed remove(const std::vector<std::string>& paths, const RemoveOptions& options, const Run& run,
               int at_fd) {
  Crew crew(crew_options(run));
  Removal removal(options, run);
  Walk walk(crew, removal, {options.one_file_system});
  for (const std::string& path : paths) walk.add(path, false, at_fd);
  const bool complete = run_crew(crew, run);
  return removal.result(complete);
}

}  // namespace madang::files

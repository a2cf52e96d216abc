#include "archive_walk.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace madang::files {
namespace {

struct OnDevice final : DirectoryState {
  explicit OnDevice(dev_t device) : device(device) {}
  dev_t device;
};

class AsItComes final : public ArchiveWalk {
 public:
  using ArchiveWalk::ArchiveWalk;

 protected:
  void found(Lane& lane, const Directory&, int fd, const Entry& entry, const std::string& path,
             unsigned char type) override {
    if (type != DT_DIR) {
      archiver_.add(lane, fd, entry.name, path, type);
      return;
    }
    struct stat status;
    lane.request();
    const Descriptor opened(openat(fd, entry.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened || fstat(opened.get(), &status) != 0) {
      archiver_.fail_or_vanished("Cannot open", path, errno, false);
    } else {
      archiver_.add_directory(lane, opened.get(), status, path);
    }
  }
  void found_directory(Lane& lane, const Directory& directory, int fd,
                       const struct stat& status) override {
    archiver_.add_directory(lane, fd, status, directory.path());
  }
};

}  // namespace

bool ArchiveWalk::entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
                        std::unique_ptr<DirectoryState>& child_state) {
  const std::string path = directory.path_of(entry.view());
  if (exclude_.matches(path)) return false;
  unsigned char type = entry.type;
  if (type == DT_UNKNOWN) {
    struct stat status;
    lane.request();
    if (fstatat(fd, entry.name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
      archiver_.fail_or_vanished("Cannot stat", path, errno, directory.is_above_roots());
      return false;
    }
    type = static_cast<unsigned char>((status.st_mode & S_IFMT) >> 12);
  }
  if (type == DT_DIR && options_.recursive) {
    if (options_.one_file_system) {
      const bool root = directory.is_above_roots();
      child_state = std::make_unique<OnDevice>(root ? 0 : directory.state_as<OnDevice>().device);
    }
    return true;
  }
  found(lane, directory, fd, entry, path, type);
  return false;
}

bool ArchiveWalk::entered(Lane& lane, Directory& directory, int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    archiver_.fail("Cannot stat", directory.path(), errno);
    return false;
  }
  found_directory(lane, directory, fd, status);
  if (!options_.one_file_system) return true;
  dev_t& device = directory.state_as<OnDevice>().device;
  if (directory.depth() == 0) device = status.st_dev;
  if (device == status.st_dev) return true;
  archiver_.notice(Notice::other_filesystem, directory.path());
  return false;
}

void ArchiveWalk::failed(Lane&, Directory& directory, Stage stage, int error) {
  const char* action = stage == Stage::open ? "Cannot open" : "Cannot read directory";
  archiver_.fail_or_vanished(action, directory.path(), error, directory.depth() == 0);
}

bool archive_as_it_comes(Crew& crew, Archiver& archiver, const std::vector<ArchiveRoot>& roots,
                         const ArchiveOptions& options, const Run& run) {
  AsItComes operation(archiver, options);
  Walk walk(crew, operation);
  for (const ArchiveRoot& root : roots) walk.add(root.path, false, root.at_fd);
  return run_crew(crew, run);
}

}  // namespace madang::files

// Regular files of a copy.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "copy_operation.hpp"

namespace madang::files {
namespace {

constexpr mode_t kAllBits = 07777;

}  // namespace

// A large file that several lanes copy; the last of them finishes it.
struct SplitCopy {
  SplitCopy(Copy& what, FileCopy of, Directory::Pointer directory)
      : copy(what), file(std::move(of)), held(std::move(directory)) {}

  Copy& copy;
  FileCopy file;
  Directory::Pointer held;
  std::atomic<std::uint64_t> parts_left{0};
  std::mutex mutex;  // of error
  ContentError error;
};

class SplitTask final : public Task {
 public:
  SplitTask(std::shared_ptr<SplitCopy> whole, std::uint64_t part) : whole_(std::move(whole)), part_(part) {}

  void run(Lane& lane) override {
    SplitCopy& whole = *whole_;
    const ContentError error = whole.copy.content_.copy_part(
        lane, whole.file.from.get(), whole.file.to.get(), part_, whole.file.source);
    if (error.action) {
      std::lock_guard lock(whole.mutex);
      if (!whole.error.action) whole.error = error;
    }
    if (whole.parts_left.fetch_sub(1) != 1) return;
    whole.copy.finish(lane, whole.file, whole.error);
    whole.held->end_work(lane);
  }

 private:
  std::shared_ptr<SplitCopy> whole_;
  std::uint64_t part_;
};

void Copy::copy_entry(Lane& lane, FileCopy& file, unsigned char type) {
  if (type == DT_LNK && options_.follow == Follow::always) {
    struct stat status;
    lane.request();
    if (fstatat(file.source_fd, file.name.c_str(), &status, 0) != 0) {
      return fail_source(file, "cannot stat", errno);
    }
    if (S_ISDIR(status.st_mode)) {
      return fail_source(file, "links to directories are not followed; omitting", 0);
    }
    file.follow = true;
    type = (status.st_mode & S_IFMT) >> 12;
  }
  if (type == DT_REG || (file.any_content && type != DT_LNK)) {
    copy_regular(lane, file);
  } else if (type == DT_LNK) {
    copy_link(lane, file);
  } else {
    copy_special(lane, file);
  }
}

void Copy::copy_regular(Lane& lane, FileCopy& file) {
  if (!is_cleared(lane, file, DT_REG)) return;
  if (options_.dry_run) {
    lane.request();
    if (fstatat(file.source_fd, file.name.c_str(), &file.source, file.follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
      return fail_source(file, "cannot stat", errno);
    }
    return count(lane, file, DT_REG, CopyEvent::Action::copied, static_cast<std::uint64_t>(file.source.st_size));
  }
  if (options_.link) return link_to(lane, file, DT_REG, file.source_fd, file.name.c_str());
  if (!open_source(lane, file)) return;
  if (options_.preserve.links && file.source.st_nlink > 1 && !is_first_link(lane, file, DT_REG)) return;
  const bool in_parts = content_.is_to_be_split(lane.crew(), file.source);
  if (!create(lane, file, in_parts)) {
    if (file.is_first_link) links_.finish(lane, {file.source.st_dev, file.source.st_ino}, nullptr);
    return;
  }
  if (in_parts && content_.clone(file.from.get(), file.to.get()) != 0) return split(lane, file);
  ContentError error;
  if (!in_parts) error = content_.copy(lane, file.from.get(), file.to.get(), file.source, file.digest);
  finish(lane, file, error);
}

// False: that was told, or it has become something else, and that was copied.
bool Copy::open_source(Lane& lane, FileCopy& file) {
  const int flags = O_RDONLY | (file.follow ? 0 : O_NOFOLLOW) | (file.any_content ? 0 : O_NONBLOCK);
  lane.request();
  file.from = open_patiently(file.source_fd, file.name.c_str(), flags);
  const int error = errno;
  if (file.from && fstat(file.from.get(), &file.source) != 0) {
    fail_source(file, "cannot stat", errno);
    return false;
  }
  if (file.from && (S_ISREG(file.source.st_mode) || (file.any_content && !S_ISDIR(file.source.st_mode)))) {
    return true;
  }
  // No link where a file was is followed, and no pipe waited for.
  if (!file.from && error != ELOOP) {
    fail_source(file, "cannot open", error, " for reading");
  } else {
    fail_source(file, "skipping", 0, ", as it was replaced while being copied");
  }
  return false;
}

bool Copy::create(Lane& lane, FileCopy& file, bool split) {
  const Preserve& preserve = options_.preserve;
  mode_t mode = plain_mode(file.source);
  if (!file.is_private && (preserve.mode || preserve.ownership)) mode &= S_IRWXU;
  if (file.there != 0 && !preserve.mode) mode = S_IRUSR | S_IWUSR;
  if (preserve.xattrs) mode |= S_IWUSR;  // asked for at each attribute
  file.part = split ? part_name_.of(file.target_name) : made_name(file);
  const int access = options_.content.verify == Checksum::none ? O_WRONLY : O_RDWR;
  lane.request();
  file.to = open_patiently(file.target_dir.fd(), file.part.c_str(),
                           access | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK, mode);
  if (!file.to) fail_target(file, "cannot create regular file", errno);
  return static_cast<bool>(file.to);
}

void Copy::split(Lane& lane, FileCopy& file) {
  auto whole = std::make_shared<SplitCopy>(*this, std::move(file), file.directory.begin_work());
  const std::uint64_t num_parts = content_.num_parts(whole->file.source);
  whole->parts_left = num_parts;
  for (std::uint64_t part = num_parts; part-- > 0;) lane.push(std::make_unique<SplitTask>(whole, part));
}

mode_t Copy::plain_mode(const struct stat& source) const {
  const bool is_directory = S_ISDIR(source.st_mode);
  if (!options_.plain_mode) return source.st_mode & (is_directory ? 0777 | S_ISVTX : 0777);
  if (is_directory) return 0777 | (source.st_mode & S_ISVTX);
  return S_ISSOCK(source.st_mode) ? 0777 : 0666;
}

// After the content: attributes, the name.
void Copy::finish(Lane& lane, FileCopy& file, const ContentError& content) {
  const char* action = content.action;
  bool at_target = content.at_target;
  int error = content.error;
  if (!action) {
    finish_attributes(file);
    if (options_.sync && fsync(file.to.get()) != 0 && errno != EINVAL) {
      action = "failed to sync", at_target = true, error = errno;
    }
    // A quota or a server may say no as late as now.
    if (close(file.to.release()) != 0 && errno != EINTR && !action) {
      action = "failed to close", at_target = true, error = errno;
    }
  }
  if (!action) {
    error = put_in_place(lane, file, file.part);
    if (error != 0) action = "cannot create regular file", at_target = true;
  }
  const HardLinks::Key key{file.source.st_dev, file.source.st_ino};
  if (action) {
    unlinkat(file.target_dir.fd(), file.part.c_str(), 0);
    if (error == EEXIST && options_.no_clobber) {
      skip(lane, file, DT_REG);
    } else if (error != ECANCELED) {
      at_target ? fail_target(file, action, error) : fail_source(file, action, error);
    }
    if (file.is_first_link) links_.finish(lane, key, nullptr);
    return;
  }
  count(lane, file, DT_REG, CopyEvent::Action::copied, static_cast<std::uint64_t>(file.source.st_size));
  if (file.is_first_link) {
    const HardLinks::Place place = place_of(file);
    links_.finish(lane, key, &place);
  }
}

void Copy::finish_attributes(FileCopy& file) {
  const int to = file.to.get();
  if (file_preserve_.any_attribute()) {
    const AttributeError error =
        copy_attributes(file.from.get(), to, file.source, file_preserve_, file.inherits_acl);
    if (error.action) fail_target(file, error.action, error.error);
  }
  if (options_.preserve.mode) return;
  if (file.there == DT_REG) {  // as if it had been written over
    (void)!fchown(to, file.existing.st_uid, file.existing.st_gid);
    (void)!fchmod(to, file.existing.st_mode & kAllBits);
  } else if (options_.preserve.ownership || options_.preserve.xattrs || file.there != 0) {
    (void)!fchmod(to, plain_mode(file.source) & ~umask_);
  }
}

int Copy::put_in_place(Lane& lane, const FileCopy& file, const std::string& made) {
  if (made == file.target_name) return 0;
  const int dir_fd = file.target_dir.fd();
  lane.request();
  if (options_.no_clobber) return rename_new(dir_fd, made.c_str(), file.target_name.c_str());
  int error = renameat(dir_fd, made.c_str(), dir_fd, file.target_name.c_str()) == 0 ? 0 : errno;
  if (error == 0 && options_.sync) fsync(dir_fd);
  return error;
}

// Into a device, a pipe, standard output: there is nothing to be replaced.
void Copy::write_through(Lane& lane, FileCopy& file, const std::string& path) {
  file.any_content = true;
  if (options_.dry_run) return count(lane, file, DT_REG, CopyEvent::Action::copied);
  if (!open_source(lane, file)) return;
  lane.request();
  file.to = open_patiently(AT_FDCWD, path.c_str(), O_WRONLY | O_TRUNC);
  if (!file.to) return fail_target(file, "cannot create regular file", errno);
  const ContentError error = content_.stream(lane, file.from.get(), file.to.get());
  if (error.action) {
    return error.at_target ? fail_target(file, error.action, error.error)
                           : fail_source(file, error.action, error.error);
  }
  count(lane, file, DT_REG, CopyEvent::Action::copied);
}

void Copy::fail_source(const FileCopy& file, const char* action, int error, const char* joint) {
  failures_.add({action, source_path(file), error, joint});
}

void Copy::fail_target(const FileCopy& file, const char* action, int error, const char* joint) {
  failures_.add({action, target_path(file), error, joint});
}

void Copy::count(Lane& lane, const FileCopy& file, unsigned char type, CopyEvent::Action action,
                 std::uint64_t bytes) {
  std::atomic<std::uint64_t>& counter =
      action == CopyEvent::Action::skipped   ? skipped_
      : action == CopyEvent::Action::updated ? updated_
      : type == DT_REG                       ? files_
                                             : others_;
  counter.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  lane.done().add(1);
  if (remembers_created_ && file.directory.is_above_roots() && action != CopyEvent::Action::skipped) {
    std::lock_guard lock(roots_mutex_);
    created_.insert(target_path(file));
  }
  if (options_.done && (action != CopyEvent::Action::skipped || options_.wants_skipped)) {
    options_.done(lane, {action, source_path(file), target_path(file), type, bytes, file.digest});
  }
}

}  // namespace madang::files

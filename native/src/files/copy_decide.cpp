// What a copy does where something is there already.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "copy_operation.hpp"

namespace madang::files {
namespace {

bool is_older(const timespec& time, const timespec& than) {
  return time.tv_sec != than.tv_sec ? time.tv_sec < than.tv_sec : time.tv_nsec < than.tv_nsec;
}

// File systems keep times more or less finely: the copy's may have been cut off.
bool is_same_time(const timespec& copy, const timespec& source) {
  if (copy.tv_sec != source.tv_sec) return false;
  if (copy.tv_nsec == source.tv_nsec) return true;
  for (long unit = 100; unit <= 1'000'000'000; unit *= 10) {
    if (copy.tv_nsec % unit == 0 && copy.tv_nsec == source.tv_nsec / unit * unit) return true;
  }
  return false;
}

constexpr mode_t kAllBits = 07777;

}  // namespace

bool Copy::is_cleared(Lane& lane, FileCopy& file, unsigned char type) {
  if (file.there == 0) return true;
  if (remembers_created_ && file.directory.is_above_roots()) {
    std::lock_guard lock(roots_mutex_);
    if (created_.contains(target_path(file))) {
      failures_.add({"will not overwrite just-created", target_path(file), 0, " with ", source_path(file)});
      return false;
    }
  }
  if (options_.no_clobber && file.there != DT_DIR) {
    skip(lane, file, type);
    return false;
  }
  lane.request();
  if (fstatat(file.target_dir.fd(), file.target_name.c_str(), &file.existing, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) {  // gone meanwhile
      file.there = 0;
      return true;
    }
    fail_target(file, "cannot stat", errno);
    return false;
  }
  file.there = (file.existing.st_mode & S_IFMT) >> 12;
  if (file.there == DT_DIR) return make_way(lane, file);
  lane.request();
  if (fstatat(file.source_fd, file.name.c_str(), &file.source, file.follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
    fail_source(file, "cannot stat", errno);
    return false;
  }
  const bool is_same = file.source.st_dev == file.existing.st_dev && file.source.st_ino == file.existing.st_ino;
  if (is_same && !options_.link && options_.compare == Compare::none) {
    failures_.add({"", source_path(file), 0, " and ", target_path(file), " are the same file"});
    return false;
  }
  if (is_same || (options_.update && !is_older(file.existing.st_mtim, file.source.st_mtim))) {
    skip(lane, file, type);
    return false;
  }
  if ((options_.compare == Compare::none && !options_.resume) || !is_complete(lane, file, type)) return true;
  if (options_.preserve.links && file.source.st_nlink > 1) {
    if (!is_first_link(lane, file, type)) return false;
    const HardLinks::Place place = place_of(file);
    links_.finish(lane, {file.source.st_dev, file.source.st_ino}, &place);
  }
  const bool updated = update_attributes(lane, file, type);
  count(lane, file, type, updated ? CopyEvent::Action::updated : CopyEvent::Action::skipped);
  return false;
}

// A directory where a file is to be.
bool Copy::make_way(Lane& lane, FileCopy& file) {
  int error = 0;
  if (options_.compare != Compare::none) {
    if (options_.dry_run) return true;
    lane.request();
    error = unlinkat(file.target_dir.fd(), file.target_name.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
    if (error != 0 && options_.remove_extra) {
      error = remove_tree(lane, file.target_dir.fd(), file.target_name.c_str(), true);
    }
    if (error == 0) {
      file.there = 0;
      return true;
    }
  }
  fail_target(file, "cannot overwrite directory", error, " with non-directory");
  return false;
}

bool Copy::is_complete(Lane& lane, FileCopy& file, unsigned char type) {
  const struct stat& source = file.source;
  const struct stat& existing = file.existing;
  if ((source.st_mode & S_IFMT) != (existing.st_mode & S_IFMT)) return false;
  if (type == DT_LNK) return points_alike(file);
  if (type != DT_REG) return source.st_rdev == existing.st_rdev;
  if (source.st_size != existing.st_size) return false;
  if (options_.compare == Compare::content) return has_same_content(lane, file);
  // What a killed copy has made under a name nobody knows, and without times, is not older than its
  // source unless that was changed since.
  const bool is_of_killed = options_.resume && file.is_private && !options_.preserve.timestamps;
  if (!is_same_time(existing.st_mtim, source.st_mtim) &&
      !(is_of_killed && is_older(source.st_mtim, existing.st_mtim))) {
    return false;
  }
  return options_.content.verify == Checksum::none || has_same_content(lane, file);
}

bool Copy::has_same_content(Lane& lane, FileCopy& file) {
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  lane.request();
  const Descriptor from = open_patiently(file.source_fd, file.name.c_str(), flags);
  lane.request();
  const Descriptor to = open_patiently(file.target_dir.fd(), file.target_name.c_str(), flags);
  if (!from || !to) return false;
  return content_.is_same(lane, from.get(), to.get());
}

bool Copy::points_alike(FileCopy& file) {
  std::string source(static_cast<std::size_t>(file.source.st_size) + 1, '\0');
  std::string existing(source.size(), '\0');
  const ssize_t length = readlinkat(file.source_fd, file.name.c_str(), source.data(), source.size());
  return length >= 0 && length < static_cast<ssize_t>(source.size()) &&
         readlinkat(file.target_dir.fd(), file.target_name.c_str(), existing.data(), existing.size()) == length &&
         source == existing;
}

// Content is equal; permissions, owner and times may not be. False: they are.
bool Copy::update_attributes(Lane& lane, FileCopy& file, unsigned char type) {
  const struct stat& source = file.source;
  const struct stat& existing = file.existing;
  const Preserve& preserve = file_preserve_;
  const bool mode_differs = type != DT_LNK && preserve.mode && ((source.st_mode ^ existing.st_mode) & kAllBits) != 0;
  const bool owner_differs = preserve.ownership && (source.st_gid != existing.st_gid ||
                                                    (source.st_uid != existing.st_uid && geteuid() == 0));
  const bool time_differs = preserve.timestamps && !is_same_time(existing.st_mtim, source.st_mtim);
  const bool differs = mode_differs || owner_differs || time_differs;
  if (!differs && !preserve.xattrs) return false;
  if (options_.dry_run) return differs;
  AttributeError error;
  lane.request();
  if (type == DT_REG) {
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const Descriptor from = open_patiently(file.source_fd, file.name.c_str(), flags);
    const Descriptor to = open_patiently(file.target_dir.fd(), file.target_name.c_str(), flags);
    error = from && to ? copy_attributes(from.get(), to.get(), source, preserve, file.inherits_acl)
                       : AttributeError{"cannot open", errno};
  } else {
    error = copy_attributes_at(file.target_dir.fd(), file.target_name.c_str(), source, preserve);
  }
  if (error.action) fail_target(file, error.action, error.error);
  return differs;
}

void Copy::skip(Lane& lane, const FileCopy& file, unsigned char type) {
  count(lane, file, type, CopyEvent::Action::skipped);
}

}  // namespace madang::files

#include "copy_attributes.hpp"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "target.hpp"

namespace madang::files {
namespace {

constexpr const char* kOwnership = "failed to preserve ownership for";
constexpr const char* kTimes = "preserving times for";
constexpr const char* kMode = "preserving permissions for";
constexpr const char* kXattrs = "preserving extended attributes for";
constexpr const char* kAccessAcl = "system.posix_acl_access";
constexpr const char* kDefaultAcl = "system.posix_acl_default";
constexpr mode_t kAllBits = 07777;
constexpr mode_t kRunsAsOther = S_ISUID | S_ISGID;

bool is_unsupported(int error) { return error == ENOTSUP || error == ENOSYS; }

// Calls `change_owner(uid, gid)`. Whoever may not give files away keeps them, and at least the group
// is tried, as the ordinary command does. `taken`: the copy belongs to whom its source belongs to.
template <typename ChangeOwner>
AttributeError copy_owner(const struct stat& source, const struct stat& target, bool& taken,
                          ChangeOwner change_owner) {
  taken = true;
  if (source.st_uid == target.st_uid && source.st_gid == target.st_gid) return {};
  if (change_owner(source.st_uid, source.st_gid) == 0) return {};
  taken = false;
  const int error = errno;
  if (geteuid() == 0 || (error != EPERM && error != EINVAL)) return {kOwnership, error};
  (void)!change_owner(static_cast<uid_t>(-1), source.st_gid);
  return {};
}

// Values of attributes, in a buffer that grows.
template <typename Read>
ssize_t read_growing(std::vector<char>& buffer, Read read) {
  for (;;) {
    const ssize_t size = read(buffer.data(), buffer.size());
    if (size >= 0 || errno != ERANGE) return size;
    buffer.resize(buffer.size() * 4);
  }
}

// Those that belong to one file system or are set by the kernel; copying them is wrong or forbidden.
bool is_left_out(std::string_view name) {
  return name.starts_with("system.nfs4") || name == "security.evm" || name == "security.ima" ||
         name.starts_with("security.selinux") || name.starts_with("trusted.SGI_") ||
         name.starts_with("afs.") || name.starts_with("trusted.overlay.");
}

int copy_attribute(int source_fd, int target_fd, const char* name, std::vector<char>& value) {
  const ssize_t size = read_growing(
      value, [&](char* at, std::size_t room) { return fgetxattr(source_fd, name, at, room); });
  if (size < 0) return errno == ENODATA ? 0 : errno;  // gone meanwhile
  return fsetxattr(target_fd, name, value.data(), static_cast<std::size_t>(size), 0) == 0 ? 0 : errno;
}

int copy_xattrs(int source_fd, int target_fd, bool with_acls) {
  std::vector<char> names(256);
  const ssize_t size = read_growing(
      names, [&](char* at, std::size_t room) { return flistxattr(source_fd, at, room); });
  if (size < 0) return errno;
  std::vector<char> value(256);
  int first_error = 0;
  for (const char* name = names.data(); name < names.data() + size; name += std::strlen(name) + 1) {
    const bool is_acl = !std::strcmp(name, kAccessAcl) || !std::strcmp(name, kDefaultAcl);
    if (is_left_out(name) || (is_acl && !with_acls)) continue;
    const int error = copy_attribute(source_fd, target_fd, name, value);
    if (error != 0 && first_error == 0) first_error = error;
  }
  return first_error;
}

AttributeError copy_acl(int source_fd, int target_fd, const char* name) {
  std::vector<char> value(256);
  const int error = copy_attribute(source_fd, target_fd, name, value);
  if (error == 0 || is_unsupported(error)) return {};
  return {kMode, error};
}

}  // namespace

AttributeError copy_attributes(int source_fd, int target_fd, const struct stat& source,
                               const Preserve& preserve, bool inherits_acl) {
  AttributeError first;
  const auto note = [&](const AttributeError& error) {
    if (error.action && !first.action) first = error;
  };
  bool owner_taken = true;
  struct stat target;
  if ((preserve.ownership || preserve.mode) && fstat(target_fd, &target) != 0) return {kMode, errno};
  if (preserve.ownership) {
    note(copy_owner(source, target, owner_taken,
                    [&](uid_t uid, gid_t gid) { return fchown(target_fd, uid, gid); }));
  }
  const bool is_directory = S_ISDIR(source.st_mode);
  if (preserve.mode && inherits_acl) {
    fremovexattr(target_fd, kAccessAcl);
    if (is_directory) fremovexattr(target_fd, kDefaultAcl);
  }
  if (source_fd < 0) {
    // It can't be read: what it has besides stays unknown.
  } else if (preserve.xattrs) {
    const int error = copy_xattrs(source_fd, target_fd, preserve.mode);
    if (error != 0 && preserve.xattrs_required) note({kXattrs, error});
  } else if (preserve.mode) {
    note(copy_acl(source_fd, target_fd, kAccessAcl));
    if (is_directory) note(copy_acl(source_fd, target_fd, kDefaultAcl));
  }
  if (preserve.mode) {
    // Who runs as another's is not decided by a copy that belongs to somebody else.
    const mode_t mode = source.st_mode & (owner_taken ? kAllBits : kAllBits & ~kRunsAsOther);
    const bool owner_changed =
        preserve.ownership && (source.st_uid != target.st_uid || source.st_gid != target.st_gid);
    const bool as_created = !owner_changed && !inherits_acl && (target.st_mode & kAllBits) == mode;
    if (!as_created && fchmod(target_fd, mode) != 0) note({kMode, errno});
  }
  if (preserve.timestamps) {
    const timespec times[2] = {source.st_atim, source.st_mtim};
    if (futimens(target_fd, times) != 0) note({kTimes, errno});
  }
  return first;
}

int set_mode_at(int dir_fd, const char* name, mode_t kind, mode_t mode) {
  const Descriptor held = open_patiently(dir_fd, name, O_PATH | O_NOFOLLOW);
  struct stat status;
  if (!held || fstat(held.get(), &status) != 0) return errno;
  if ((status.st_mode & S_IFMT) != (kind & S_IFMT)) return ESTALE;
  char path[40];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", held.get());
  return chmod(path, mode) == 0 ? 0 : errno;
}

AttributeError copy_attributes_at(int target_dir_fd, const char* name, const struct stat& source,
                                  const Preserve& preserve) {
  AttributeError first;
  const auto note = [&](const AttributeError& error) {
    if (error.action && !first.action) first = error;
  };
  bool owner_taken = true;
  const bool is_link = S_ISLNK(source.st_mode);
  if (preserve.ownership) {
    struct stat target;
    if (fstatat(target_dir_fd, name, &target, AT_SYMLINK_NOFOLLOW) != 0) return {kOwnership, errno};
    note(copy_owner(source, target, owner_taken, [&](uid_t uid, gid_t gid) {
      return fchownat(target_dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW);
    }));
  }
  if (preserve.mode && !is_link) {
    const mode_t mode = source.st_mode & (owner_taken ? kAllBits : kAllBits & ~kRunsAsOther);
    if (const int error = set_mode_at(target_dir_fd, name, source.st_mode, mode)) note({kMode, error});
  }
  if (preserve.timestamps) {
    const timespec times[2] = {source.st_atim, source.st_mtim};
    if (utimensat(target_dir_fd, name, times, AT_SYMLINK_NOFOLLOW) != 0 && !is_unsupported(errno)) {
      note({kTimes, errno});
    }
  }
  return first;
}

bool has_default_acl(int directory_fd) { return fgetxattr(directory_fd, kDefaultAcl, nullptr, 0) > 0; }

}  // namespace madang::files

#include "archive_member.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "acl_text.hpp"

namespace madang::files {
namespace {

constexpr std::size_t kNameBuffer = 16 * 1024;

// The value of one attribute; false when there is none (any more).
bool read_attribute(const char* path, const char* name, std::string& value) {
  value.resize(256);
  for (;;) {
    ssize_t length = getxattr(path, name, value.data(), value.size());
    if (length >= 0) {
      value.resize(static_cast<std::size_t>(length));
      return true;
    }
    if (errno != ERANGE) return false;
    length = getxattr(path, name, nullptr, 0);
    if (length < 0) return false;
    value.resize(static_cast<std::size_t>(length) + 64);
  }
}

int list_attributes(const char* path, std::string& names) {
  names.resize(1024);
  for (;;) {
    const ssize_t length = listxattr(path, names.data(), names.size());
    if (length >= 0) {
      names.resize(static_cast<std::size_t>(length));
      return 0;
    }
    if (errno != ERANGE) return errno;
    names.resize(names.size() * 4);
  }
}

}  // namespace

std::string OwnerNames::user(uid_t uid) {
  std::lock_guard lock(mutex_);
  const auto [found, added] = users_.try_emplace(uid);
  if (added) {
    std::string buffer(kNameBuffer, '\0');
    passwd entry, *result = nullptr;
    if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &result) == 0 && result) {
      found->second = entry.pw_name;
    }
  }
  return found->second;
}

std::string OwnerNames::group(gid_t gid) {
  std::lock_guard lock(mutex_);
  const auto [found, added] = groups_.try_emplace(gid);
  if (added) {
    std::string buffer(kNameBuffer, '\0');
    ::group entry, *result = nullptr;
    if (getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &result) == 0 && result) {
      found->second = entry.gr_name;
    }
  }
  return found->second;
}

void fill(tar::Member& member, const struct stat& status) {
  switch (status.st_mode & S_IFMT) {
    case S_IFDIR: member.type = tar::kDirectory; break;
    case S_IFLNK: member.type = tar::kSymbolicLink; break;
    case S_IFIFO: member.type = tar::kFifo; break;
    case S_IFCHR: member.type = tar::kCharacterDevice; break;
    case S_IFBLK: member.type = tar::kBlockDevice; break;
    default: member.type = tar::kFile;
  }
  member.mode = status.st_mode & 07777;
  member.uid = status.st_uid;
  member.gid = status.st_gid;
  member.size = member.type == tar::kFile ? static_cast<std::uint64_t>(status.st_size) : 0;
  member.mtime_s = status.st_mtim.tv_sec;
  member.mtime_ns = static_cast<unsigned>(status.st_mtim.tv_nsec);
  const bool device = member.type == tar::kCharacterDevice || member.type == tar::kBlockDevice;
  member.device_major = device ? major(status.st_rdev) : 0;
  member.device_minor = device ? minor(status.st_rdev) : 0;
  member.link.clear();
  member.sparse = false;
  member.segments.clear();
  member.attributes.clear();
}

std::string_view safe_name(std::string_view path, std::string_view& removed) {
  std::size_t prefix = 0;
  for (std::size_t at = 0; at < path.size();) {
    std::size_t end = path.find('/', at);
    if (end == std::string_view::npos) end = path.size();
    if (path.substr(at, end - at) == "..") prefix = end;
    at = end + 1;
  }
  while (prefix < path.size() && path[prefix] == '/') ++prefix;
  removed = path.substr(0, prefix);
  path.remove_prefix(prefix);
  return path.empty() ? "." : path;
}

int add_attributes(int fd, bool xattrs, bool acls, OwnerNames& names, tar::Member& member) {
  // By this name also of what can't be opened, a symbolic link or a fifo.
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  std::string value;
  if (acls && member.type != tar::kSymbolicLink) {
    const auto name_of = [&](unsigned id, bool user) { return user ? names.user(id) : names.group(id); };
    if (read_attribute(path.c_str(), kAccessAclAttribute, value)) {
      if (std::string text = acl_to_text(value, name_of); !text.empty()) {
        member.attributes.emplace_back(tar::kAccessAcl, std::move(text));
      }
    }
    if (member.type == tar::kDirectory && read_attribute(path.c_str(), kDefaultAclAttribute, value)) {
      if (std::string text = acl_to_text(value, name_of); !text.empty()) {
        member.attributes.emplace_back(tar::kDefaultAcl, std::move(text));
      }
    }
  }
  if (!xattrs) return 0;
  std::string list;
  if (const int error = list_attributes(path.c_str(), list); error != 0) {
    return error == ENOTSUP ? 0 : error;
  }
  for (std::size_t at = 0; at < list.size();) {
    const std::string name(list.c_str() + at);
    at += name.size() + 1;
    if (name.rfind("system.posix_acl_", 0) == 0) continue;  // a matter of `acls`
    if (read_attribute(path.c_str(), name.c_str(), value)) member.attributes.emplace_back(name, value);
  }
  return 0;
}

bool find_segments(int fd, std::uint64_t size, std::vector<tar::Segment>& segments) {
  segments.clear();
  const off_t end = static_cast<off_t>(size);
  for (off_t at = 0; at < end;) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0) {
      if (errno != ENXIO) return false;  // it has no holes to tell of
      data = end;
    }
    if (data >= end) break;
    off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return false;
    hole = std::min(hole, end);
    if (data == 0 && hole == end) return false;
    segments.push_back({static_cast<std::uint64_t>(data), static_cast<std::uint64_t>(hole - data)});
    at = hole;
  }
  // GNU's tar, too, ends a map with where the file ends.
  segments.push_back({size, 0});
  return true;
}

}  // namespace madang::files

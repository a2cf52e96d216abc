#include "directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdint>

namespace madang {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

int open_beneath(int at_fd, const std::string& path) {
  open_how how{};
  how.flags = kOpenFlags;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  int fd = -1;
  do {  // EAGAIN: something was renamed during the look-up
    fd = static_cast<int>(syscall(SYS_openat2, at_fd, path.c_str(), &how, sizeof how));
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return fd;
}

// The longest beginning of `path` that ends before a slash and fits `limit` bytes.
std::string_view leading_part(std::string_view path, std::size_t limit) {
  if (path.size() <= limit) return path;
  const std::size_t slash = path.rfind('/', limit);
  return path.substr(0, slash == std::string_view::npos ? path.find('/') : slash);
}

// Opens part after part; `limit` is how long a part may be, and `open_part` opens one.
template <typename OpenPart>
Descriptor open_in_parts(int root_fd, std::string_view path, std::size_t limit, OpenPart open_part) {
  Descriptor parent;
  while (true) {
    const std::string_view part = leading_part(path, limit);
    Descriptor next(open_part(parent ? parent.get() : root_fd, std::string(part)));
    if (!next || part.size() == path.size()) {
      const int saved_errno = errno;
      parent = Descriptor();
      errno = saved_errno;
      return next;
    }
    parent = std::move(next);
    path.remove_prefix(part.size() + 1);
  }
}

int open_name(int at_fd, const std::string& name) {
  int fd = -1;
  do {
    fd = openat(at_fd, name.c_str(), kOpenFlags);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Descriptor open_directory(int root_fd, std::string_view path) {
  if (path.empty()) return Descriptor(open_name(root_fd, "."));
  Descriptor opened = open_in_parts(root_fd, path, PATH_MAX - 1, open_beneath);
  // Kernels before 5.6 lack openat2, and some containers' filters refuse it: name by name then.
  if (!opened && (errno == ENOSYS || errno == EPERM)) {
    opened = open_in_parts(root_fd, path, 0, open_name);
  }
  return opened;
}

long DirectoryReader::fill(int fd) {
  const ssize_t length = getdents64(fd, buffer_.data(), buffer_.size());
  return length < 0 ? -errno : length;
}

std::pair<DirectoryReader::Record, long> DirectoryReader::record_at(long position) const {
  const auto* entry = reinterpret_cast<const dirent64*>(buffer_.data() + position);
  return {{std::string_view(entry->d_name), entry->d_type, entry->d_ino}, entry->d_reclen};
}

}  // namespace madang

#include "access.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

namespace madang::files {
namespace {

#ifndef SYS_getxattrat
constexpr long kGetxattrat = 464;  // the same on all architectures
#else
constexpr long kGetxattrat = SYS_getxattrat;
#endif

struct XattrArguments {
  std::uint64_t value;
  std::uint32_t size;
  std::uint32_t flags;
};

std::atomic<bool> has_getxattrat{true};

ssize_t attribute_size(int fd, const char* name, const char* attribute) {
  if (fd == AT_FDCWD) return lgetxattr(name, attribute, nullptr, 0);
  if (has_getxattrat.load(std::memory_order_relaxed)) {
    XattrArguments arguments{};
    const long size = syscall(kGetxattrat, fd, name, AT_SYMLINK_NOFOLLOW, attribute, &arguments,
                              sizeof arguments);
    if (size >= 0 || (errno != ENOSYS && errno != EPERM)) return size;
    has_getxattrat.store(false, std::memory_order_relaxed);  // Linux before 6.13, or a filter
  }
  const std::string path = "/proc/self/fd/" + std::to_string(fd) + "/" + name;
  return lgetxattr(path.c_str(), attribute, nullptr, 0);
}

}  // namespace

AccessMarks::AccessMarks() : contexts_(access("/sys/fs/selinux/status", F_OK) == 0) {}

int AccessMarks::has(int fd, const char* name, const char* attribute) {
  const ssize_t size = attribute_size(fd, name, attribute);
  if (size >= 0) return size > 0;
  return errno == EOPNOTSUPP || errno == ENOSYS ? kUnsupported : 0;
}

}  // namespace madang::files

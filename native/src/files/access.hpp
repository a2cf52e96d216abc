// Whether a file has an access control list, as `ls -l` marks it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace madang::files {

// Thread-safe. Remembers a file system that has none, so that it is not asked for each file.
class AccessMarks {
 public:
  AccessMarks();

  // '+' for an access control list, '.' for a security context alone, else ' '. `requested` is called
  // before each request; not for symbolic links.
  template <typename Requested>
  char mark(int fd, const char* name, bool is_directory, std::uint64_t device, Requested&& requested) {
    if (device != without_.load(std::memory_order_relaxed)) {
      requested();
      int found = has(fd, name, "system.posix_acl_access");
      if (found == kUnsupported) {
        without_.store(device, std::memory_order_relaxed);
      } else {
        if (found == 0 && is_directory) {
          requested();
          found = has(fd, name, "system.posix_acl_default");
        }
        if (found > 0) return '+';
      }
    }
    if (!contexts_) return ' ';
    requested();
    return has(fd, name, "security.selinux") > 0 ? '.' : ' ';
  }

 private:
  static constexpr int kUnsupported = -1;
  static int has(int fd, const char* name, const char* attribute);

  const bool contexts_;
  std::atomic<std::uint64_t> without_{UINT64_MAX};
};

}  // namespace madang::files

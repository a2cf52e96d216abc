// Reading one directory below a root, without ever following a symbolic link.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace madang {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }  // whoever calls closes it
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Opens the directory `path`, relative to `root_fd` (empty: the root itself). No component may be
// a symbolic link, and the path may be longer than PATH_MAX. Empty, with errno set, on failure.
Descriptor open_directory(int root_fd, std::string_view path);

// Names in a directory, in the order of the file system, without "." and "..".
class DirectoryReader {
 public:
  explicit DirectoryReader(std::size_t buffer_bytes = 128 * 1024) : buffer_(buffer_bytes) {}

  struct Record {
    std::string_view name;  // ends with NUL
    unsigned char type;     // DT_REG, DT_DIR... or DT_UNKNOWN
    std::uint64_t inode;
  };

  // Calls `take(const Record&)` for each name; what it is given is gone with the call. Returns 0, or
  // the errno that ended reading.
  template <typename Take>
  int read(int fd, Take&& take) {
    for (;;) {
      const long length = fill(fd);
      if (length <= 0) return static_cast<int>(-length);
      for (long at = 0; at < length;) {
        const auto [record, record_bytes] = record_at(at);
        at += record_bytes;
        if (record.name != "." && record.name != "..") take(record);
      }
    }
  }

 private:
  // Bytes read into the buffer, 0 at the end, or minus errno.
  long fill(int fd);
  std::pair<Record, long> record_at(long position) const;

  std::vector<char> buffer_;
};

}  // namespace madang

#include "content.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace madang::files {
namespace {

// Up to this size a file is read and written at once; above, the kernel may do it.
constexpr std::size_t kSmall = 128 * 1024;
constexpr std::size_t kPiece = 1024 * 1024;            // one read and write
constexpr std::uint64_t kKernelPiece = 16 * 1024 * 1024;  // one copy_file_range: then look up
constexpr std::uint64_t kPart = 32 * 1024 * 1024;      // of a file that several lanes copy
constexpr std::size_t kHole = 4096;                    // zeros that become a hole

constexpr const char* kReading = "error reading";
constexpr const char* kWriting = "error writing";

ssize_t read_at(Lane& lane, int fd, char* at, std::size_t size, std::uint64_t offset) {
  lane.request();
  ssize_t length;
  do {
    length = pread(fd, at, size, static_cast<off_t>(offset));
  } while (length < 0 && errno == EINTR);
  return length;
}

int write_at(Lane& lane, int fd, const char* at, std::size_t size, std::uint64_t offset) {
  while (size != 0) {
    lane.request();
    const ssize_t length = pwrite(fd, at, size, static_cast<off_t>(offset));
    if (length < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    at += length;
    size -= static_cast<std::size_t>(length);
    offset += static_cast<std::uint64_t>(length);
  }
  return 0;
}

bool is_zero(const char* at, std::size_t size) { return *at == 0 && std::memcmp(at, at + 1, size - 1) == 0; }

// Writes what is not zero.
int write_leaving_holes(Lane& lane, int fd, const char* at, std::size_t size, std::uint64_t offset) {
  std::size_t begin = 0;  // of what is not written yet
  for (std::size_t here = 0; here < size; here += kHole) {
    const std::size_t length = std::min(kHole, size - here);
    if (!is_zero(at + here, length)) continue;
    if (const int error = write_at(lane, fd, at + begin, here - begin, offset + begin)) return error;
    begin = here + length;
  }
  return write_at(lane, fd, at + begin, size - begin, offset + begin);
}

bool is_refused(int error) {
  return error == EXDEV || error == EOPNOTSUPP || error == EINVAL || error == ENOSYS ||
         error == ENOTTY || error == EPERM || error == EBADF || error == ETXTBSY;
}

}  // namespace

int ContentCopier::clone(int source_fd, int target_fd) {
  if (options_.reflink == Reflink::never) return EOPNOTSUPP;
  if (options_.reflink != Reflink::always && !can_clone_.load(std::memory_order_relaxed)) {
    return EOPNOTSUPP;
  }
  if (ioctl(target_fd, FICLONE, source_fd) == 0) return 0;
  const int error = errno;
  if (error == EOPNOTSUPP || error == EXDEV || error == ENOTTY || error == ENOSYS) can_clone_ = false;
  return error;
}

bool ContentCopier::is_to_be_split(const Crew& crew, const struct stat& source) const {
  const auto size = static_cast<std::uint64_t>(source.st_size);
  const bool has_holes = static_cast<std::uint64_t>(source.st_blocks) * 512 < size;
  return size >= 2 * kPart && crew.max_lanes() > 1 && options_.verify == Checksum::none &&
         options_.sparse != Sparse::always && !has_holes;
}

ContentError ContentCopier::copy(Lane& lane, int source_fd, int target_fd, const struct stat& source,
                                 std::string& digest) {
  if (!S_ISREG(source.st_mode)) return stream(lane, source_fd, target_fd);
  const std::unique_ptr<Hasher> hasher = Hasher::make(options_.verify);
  const bool may_clone = !hasher && source.st_size > 0 && options_.sparse == Sparse::automatic &&
                         (source.st_size > static_cast<off_t>(kSmall) || options_.reflink == Reflink::always);
  if (may_clone) {
    lane.request();
    const int error = clone(source_fd, target_fd);
    if (error == 0) return {};
    if (options_.reflink == Reflink::always) return {"failed to clone", true, error};
  }
  ContentError error = copy_whole(lane, source_fd, target_fd, source, hasher.get());
  if (error.action || !hasher) return error;
  digest = hasher->hex();
  return read_back(lane, target_fd, digest);
}

ContentError ContentCopier::copy_whole(Lane& lane, int source_fd, int target_fd,
                                       const struct stat& source, Hasher* hasher) {
  const auto size = static_cast<std::uint64_t>(source.st_size);
  const bool has_holes = static_cast<std::uint64_t>(source.st_blocks) * 512 < size;
  if (has_holes && options_.sparse == Sparse::automatic && !hasher) {
    const ContentError error = copy_sparse(lane, source_fd, target_fd, size);
    if (error.error != EOPNOTSUPP) return error;
  }
  const bool finds_holes = has_holes && options_.sparse == Sparse::automatic;
  return copy_range(lane, source_fd, target_fd, 0, size, hasher, true, finds_holes);
}

// Extent after extent. EOPNOTSUPP: the file system does not tell where they are.
ContentError ContentCopier::copy_sparse(Lane& lane, int source_fd, int target_fd, std::uint64_t size) {
  std::uint64_t at = 0;
  while (at < size) {
    lane.request();
    const off_t data = lseek(source_fd, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) break;  // nothing but a hole follows
      if (at == 0) return {kReading, false, EOPNOTSUPP};
      return {kReading, false, errno};
    }
    const off_t hole = lseek(source_fd, data, SEEK_HOLE);
    if (hole < 0) return {kReading, false, errno};
    const std::uint64_t end = std::min(static_cast<std::uint64_t>(hole), size);
    const ContentError error =
        copy_range(lane, source_fd, target_fd, static_cast<std::uint64_t>(data), end, nullptr, false);
    if (error.action) return error;
    at = end;
  }
  if (ftruncate(target_fd, static_cast<off_t>(size)) != 0) return {kWriting, true, errno};
  return {};
}

std::uint64_t ContentCopier::num_parts(const struct stat& source) {
  return (static_cast<std::uint64_t>(source.st_size) + kPart - 1) / kPart;
}

ContentError ContentCopier::copy_part(Lane& lane, int source_fd, int target_fd, std::uint64_t part,
                                      const struct stat& source) {
  const auto size = static_cast<std::uint64_t>(source.st_size);
  const std::uint64_t begin = part * kPart;
  return copy_range(lane, source_fd, target_fd, begin, std::min(begin + kPart, size), nullptr, false);
}

ContentError ContentCopier::copy_range(Lane& lane, int source_fd, int target_fd, std::uint64_t from,
                                       std::uint64_t to, Hasher* hasher, bool until_end,
                                       bool finds_holes) {
  const bool leave_holes = finds_holes || options_.sparse == Sparse::always;
  const bool may_use_kernel = !hasher && !leave_holes && options_.sparse != Sparse::never;
  std::uint64_t at = from;
  while (may_use_kernel && to - at > kSmall && can_copy_range_.load(std::memory_order_relaxed)) {
    if (lane.should_stop()) return {kWriting, true, ECANCELED};
    off_t source_at = static_cast<off_t>(at), target_at = static_cast<off_t>(at);
    lane.request();
    const ssize_t length = copy_file_range(source_fd, &source_at, target_fd, &target_at,
                                           std::min(kKernelPiece, to - at), 0);
    if (length < 0) {
      if (errno == EINTR) continue;
      if (!is_refused(errno)) return {kWriting, true, errno};
      can_copy_range_ = false;
      break;
    }
    if (length == 0) break;  // shorter than it was; or the kernel can't tell: reading decides
    at += static_cast<std::uint64_t>(length);
    lane.done().add(0, static_cast<std::uint64_t>(length));
  }
  // Files that grow are followed to their end; one that ends before `to` ends there.
  std::vector<char>& buffer = lane.buffer(to - at > kSmall ? kPiece : kSmall + 1);
  while (until_end || at < to) {
    if (lane.should_stop()) return {kWriting, true, ECANCELED};
    const std::size_t room = until_end ? buffer.size() : std::min<std::uint64_t>(buffer.size(), to - at);
    const ssize_t length = read_at(lane, source_fd, buffer.data(), room, at);
    if (length < 0) return {kReading, false, errno};
    if (length == 0) break;
    const auto got = static_cast<std::size_t>(length);
    if (hasher) hasher->add(buffer.data(), got);
    const int error = leave_holes ? write_leaving_holes(lane, target_fd, buffer.data(), got, at)
                                  : write_at(lane, target_fd, buffer.data(), got, at);
    if (error != 0) return {kWriting, true, error};
    at += got;
    lane.done().add(0, got);
    if (got < room && at >= to) break;  // a short read at the size it had: no need to ask again
  }
  if (leave_holes && until_end && ftruncate(target_fd, static_cast<off_t>(at)) != 0) {
    return {kWriting, true, errno};
  }
  return {};
}

ContentError ContentCopier::stream(Lane& lane, int source_fd, int target_fd) {
  std::vector<char>& buffer = lane.buffer(kSmall);
  for (;;) {
    if (lane.should_stop()) return {kWriting, true, ECANCELED};
    lane.request();
    const ssize_t length = read(source_fd, buffer.data(), kSmall);
    if (length == 0) return {};
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return {kReading, false, errno};
    for (ssize_t done = 0; done < length;) {
      lane.request();
      const ssize_t written = write(target_fd, buffer.data() + done, static_cast<std::size_t>(length - done));
      if (written < 0 && errno != EINTR) return {kWriting, true, errno};
      if (written > 0) done += written;
    }
    lane.done().add(0, static_cast<std::uint64_t>(length));
  }
}

bool ContentCopier::is_same(Lane& lane, int one_fd, int other_fd) {
  std::vector<char>& buffer = lane.buffer(2 * kPiece);
  char* const one = buffer.data();
  char* const other = buffer.data() + kPiece;
  for (std::uint64_t at = 0;;) {
    if (lane.should_stop()) return false;
    const ssize_t length = read_at(lane, one_fd, one, kPiece, at);
    if (length < 0) return false;
    for (ssize_t done = 0; done < length || length == 0;) {
      const std::size_t room = length == 0 ? 1 : static_cast<std::size_t>(length - done);
      const ssize_t got = read_at(lane, other_fd, other + done, room, at + static_cast<std::uint64_t>(done));
      if (length == 0) return got == 0;
      if (got <= 0) return false;
      done += got;
    }
    if (std::memcmp(one, other, static_cast<std::size_t>(length)) != 0) return false;
    at += static_cast<std::uint64_t>(length);
  }
}

// From the disk or server where the system lets go of what it has in memory.
ContentError ContentCopier::read_back(Lane& lane, int target_fd, const std::string& digest) {
  if (fdatasync(target_fd) != 0 && errno != EINVAL) return {kWriting, true, errno};
  posix_fadvise(target_fd, 0, 0, POSIX_FADV_DONTNEED);
  const std::unique_ptr<Hasher> hasher = Hasher::make(options_.verify);
  std::vector<char>& buffer = lane.buffer(kPiece);
  for (std::uint64_t at = 0;;) {
    if (lane.should_stop()) return {kReading, true, ECANCELED};
    const ssize_t length = read_at(lane, target_fd, buffer.data(), buffer.size(), at);
    if (length < 0) return {kReading, true, errno};
    if (length == 0) break;
    hasher->add(buffer.data(), static_cast<std::size_t>(length));
    at += static_cast<std::uint64_t>(length);
  }
  if (hasher->hex() == digest) return {};
  return {"the copy differs from what was read; it was removed:", true, 0};
}

}  // namespace madang::files

#include "byte_source.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace madang::files {
namespace {

std::string reading_failed(int error) { return std::string("Cannot read: ") + strerror(error); }

}  // namespace

std::size_t ByteSource::read_fully(char* to, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes) {
    const std::size_t length = read(to + done, bytes - done);
    if (length == 0) break;
    done += length;
  }
  return done;
}

std::size_t MemorySource::read(char* to, std::size_t bytes) {
  bytes = std::min(bytes, bytes_.size() - at_);
  std::memcpy(to, bytes_.data() + at_, bytes);
  at_ += bytes;
  return bytes;
}

std::size_t RangeSource::read(char* to, std::size_t bytes) {
  bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, left_));
  if (bytes == 0) return 0;
  ssize_t length;
  do {
    length = pread(fd_, to, bytes, static_cast<off_t>(at_));
  } while (length < 0 && errno == EINTR);
  if (length < 0) throw ArchiveError(reading_failed(errno));
  if (length == 0) throw ArchiveError("Unexpected EOF in archive");
  at_ += static_cast<std::uint64_t>(length);
  left_ -= static_cast<std::uint64_t>(length);
  return static_cast<std::size_t>(length);
}

std::size_t StreamSource::read(char* to, std::size_t bytes) {
  ssize_t length;
  do {
    length = ::read(fd_, to, bytes);
  } while (length < 0 && errno == EINTR);
  if (length < 0) throw ArchiveError(reading_failed(errno));
  return static_cast<std::size_t>(length);
}

std::size_t PartSource::read(char* to, std::size_t bytes) {
  bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, left_));
  if (bytes == 0) return 0;
  const std::size_t length = source_.read(to, bytes);
  if (length == 0) throw ArchiveError("Unexpected EOF in archive");
  left_ -= length;
  return length;
}

std::size_t PrefixedSource::read(char* to, std::size_t bytes) {
  if (at_ == prefix_.size()) return rest_->read(to, bytes);
  bytes = std::min(bytes, prefix_.size() - at_);
  std::memcpy(to, prefix_.data() + at_, bytes);
  at_ += bytes;
  return bytes;
}

// Eight bytes a step: faster than most disks, and there in every build.
std::uint32_t crc32_of(std::uint32_t before, std::string_view bytes) {
  using Table = std::array<std::array<std::uint32_t, 256>, 8>;
  static const Table table = [] {
    Table made{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
      made[0][i] = value;
    }
    for (std::uint32_t i = 0; i < 256; ++i) {
      for (int row = 1; row < 8; ++row) made[row][i] = made[row - 1][i] >> 8 ^ made[0][made[row - 1][i] & 255];
    }
    return made;
  }();
  std::uint32_t value = ~before;
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint32_t low, high;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + 4, 4);
    low ^= value;
    value = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
            table[3][high & 255] ^ table[2][high >> 8 & 255] ^ table[1][high >> 16 & 255] ^ table[0][high >> 24];
  }
  for (; left != 0; --left, ++at) value = value >> 8 ^ table[0][(value ^ *at) & 255];
  return ~value;
}

}  // namespace madang::files

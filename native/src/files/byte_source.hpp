// Bytes that are read from their beginning to their end: of a file, decompressed, of a part.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../directory.hpp"

namespace madang::files {

// An archive that can't be read (further); `what` is a sentence for people.
class ArchiveError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `bytes`, at least one; 0 at the end. Throws ArchiveError.
  virtual std::size_t read(char* to, std::size_t bytes) = 0;

  // As many as there are, up to `bytes`.
  std::size_t read_fully(char* to, std::size_t bytes);
};

// What was read already.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  std::size_t read(char* to, std::size_t bytes) override;

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

// `length` bytes of a file, read by their position.
class RangeSource final : public ByteSource {
 public:
  RangeSource(int fd, std::uint64_t at, std::uint64_t length) : fd_(fd), at_(at), left_(length) {}
  std::size_t read(char* to, std::size_t bytes) override;

 private:
  int fd_;
  std::uint64_t at_;
  std::uint64_t left_;
};

// A file, a pipe or a device, as it comes.
class StreamSource final : public ByteSource {
 public:
  explicit StreamSource(int fd) : fd_(fd) {}
  std::size_t read(char* to, std::size_t bytes) override;

 private:
  int fd_;
};

// The first `length` bytes of another source; that one ending before is an error.
class PartSource final : public ByteSource {
 public:
  PartSource(ByteSource& source, std::uint64_t length) : source_(source), left_(length) {}
  std::size_t read(char* to, std::size_t bytes) override;
  std::uint64_t left() const { return left_; }

 private:
  ByteSource& source_;
  std::uint64_t left_;
};

// Some bytes that were read to see what comes, and then the rest.
class PrefixedSource final : public ByteSource {
 public:
  PrefixedSource(std::string prefix, std::unique_ptr<ByteSource> rest)
      : prefix_(std::move(prefix)), rest_(std::move(rest)) {}
  std::size_t read(char* to, std::size_t bytes) override;

 private:
  std::string prefix_;
  std::size_t at_ = 0;
  std::unique_ptr<ByteSource> rest_;
};

// Decompress what `compressed` gives: gzip (several members too), zstd (several frames too), and
// raw deflate as in zip archives. Throw ArchiveError when built without.
std::unique_ptr<ByteSource> gunzip(std::unique_ptr<ByteSource> compressed);
std::unique_ptr<ByteSource> unzstd(std::unique_ptr<ByteSource> compressed);
std::unique_ptr<ByteSource> inflate_raw(std::unique_ptr<ByteSource> compressed);

// CRC-32 as in zip and gzip.
std::uint32_t crc32_of(std::uint32_t before, std::string_view bytes);

}  // namespace madang::files

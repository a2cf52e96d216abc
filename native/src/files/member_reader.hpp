// Reading archives member after member, whatever their kind.
#pragma once

#include <memory>
#include <string>

#include "byte_source.hpp"
#include "tar_format.hpp"

namespace madang::files {

class Lane;

// A member, and where its content comes from.
struct ArchivedMember {
  tar::Member member;
  std::uint64_t stored = 0;      // bytes that follow, as they are in a tar archive
  bool has_crc = false;
  std::uint32_t crc = 0;         // of the content
  // Content that can be read at any time, by any lane. Empty: it is read from the reader, before
  // the next member.
  std::unique_ptr<ByteSource> content;
};

class MemberReader {
 public:
  virtual ~MemberReader() = default;
  // False after the last one. Throws ArchiveError.
  virtual bool next(ArchivedMember& member) = 0;
  // The content of the member that was read last; only where it has none of its own.
  virtual ByteSource& content() = 0;
  // Bytes of all contents, where the archive says so at its beginning.
  virtual std::uint64_t total_bytes() const { return 0; }
};

// Opens an archive: its kind is seen from what is in it. `fd` stays the caller's. Throws ArchiveError.
std::unique_ptr<MemberReader> open_archive(int fd);

// What open_archive chooses from. `fd` >= 0: the source is that file, as it is, so that large
// contents can be read from it by position.
std::unique_ptr<MemberReader> read_tar(std::unique_ptr<ByteSource> source, int fd);
std::unique_ptr<MemberReader> read_zip(int fd, std::uint64_t size);

}  // namespace madang::files

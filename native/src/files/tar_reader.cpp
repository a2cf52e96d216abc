#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "member_reader.hpp"

namespace madang::files {
namespace {

constexpr std::size_t kReadAtOnce = 256 * 1024;
constexpr std::uint64_t kMostRecords = 64 * 1024 * 1024;  // bytes of names and attributes of one member
constexpr std::uint64_t kReadByPosition = 1024 * 1024;    // contents from that size on
constexpr std::uint64_t kMostAfterEnd = 16 * 1024 * 1024;

// The source with a buffer, and a position that can be moved where the source is a file.
class Input final : public ByteSource {
 public:
  Input(std::unique_ptr<ByteSource> source, int fd) : source_(std::move(source)), fd_(fd), buffer_(kReadAtOnce) {}

  std::size_t read(char* to, std::size_t bytes) override {
    if (at_ == end_) {
      if (bytes >= buffer_.size()) return advance(source_read(to, bytes));
      at_ = 0;
      end_ = source_read(buffer_.data(), buffer_.size());
      if (end_ == 0) return 0;
    }
    bytes = std::min(bytes, end_ - at_);
    std::memcpy(to, buffer_.data() + at_, bytes);
    at_ += bytes;
    return advance(bytes);
  }

  // Leaves out bytes; false when there are not as many.
  bool skip(std::uint64_t bytes) {
    const std::size_t buffered = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, end_ - at_));
    at_ += buffered;
    position_ += buffered;
    bytes -= buffered;
    if (bytes == 0) return true;
    if (fd_ >= 0) {
      position_ += bytes;  // where it ends is found by whoever reads on
      return true;
    }
    std::vector<char> unwanted(kReadAtOnce);
    while (bytes != 0) {
      const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, unwanted.size()));
      const std::size_t length = read(unwanted.data(), part);
      if (length == 0) return false;
      bytes -= length;
    }
    return true;
  }

  int fd() const { return fd_; }
  std::uint64_t position() const { return position_; }

 private:
  std::size_t source_read(char* to, std::size_t bytes) {
    if (fd_ < 0) return source_->read(to, bytes);
    ssize_t length;
    do {
      length = pread(fd_, to, bytes, static_cast<off_t>(position_));
    } while (length < 0 && errno == EINTR);
    if (length < 0) throw ArchiveError(std::string("Cannot read: ") + strerror(errno));
    return static_cast<std::size_t>(length);
  }
  std::size_t advance(std::size_t bytes) {
    position_ += bytes;
    return bytes;
  }

  std::unique_ptr<ByteSource> source_;
  const int fd_;
  std::vector<char> buffer_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::uint64_t position_ = 0;
};

class TarReader final : public MemberReader {
 public:
  TarReader(std::unique_ptr<ByteSource> source, int fd) : input_(std::move(source), fd) { content_.emplace(input_, 0); }

  bool next(ArchivedMember& found) override {
    leave_content();
    tar::Records records = global_;
    std::string long_name, long_link;
    for (;;) {
      tar::Header header;
      if (!read_header(header)) {
        drain();
        return false;
      }
      switch (header.type) {
        case 'x':
        case 'X':
          if (!tar::parse_records(read_text(header.stored), records)) damaged("a pax header is damaged");
          continue;
        case 'g':
          if (!tar::parse_records(read_text(header.stored), global_)) damaged("a pax header is damaged");
          records = global_;
          continue;
        case 'L': long_name = read_text(header.stored).c_str(); continue;
        case 'K': long_link = read_text(header.stored).c_str(); continue;
        case 'V':  // the volume's name
        case 'D':  // what was in a directory, of incremental archives: the directory follows as itself
          if (header.type == 'V') {
            skip(tar::padded(header.stored));
            continue;
          }
          break;
        default: break;
      }
      if (!long_name.empty()) header.member.name = long_name;
      if (!long_link.empty()) header.member.link = long_link;
      if (header.type == 'S') read_old_sparse(header);
      if (!tar::apply_records(records, header)) damaged("a pax header is damaged");
      take(header, records, found);
      return true;
    }
  }

  ByteSource& content() override { return *content_; }

 private:
  // The rest of the content of the member before, and its padding.
  void leave_content() {
    skip(content_->left() + padding_);
    content_.emplace(input_, 0);
    padding_ = 0;
  }

  void take(tar::Header& header, const tar::Records& records, ArchivedMember& found) {
    tar::Member& member = header.member;
    if (member.type == 'D') {
      member.type = tar::kDirectory;
      member.size = 0;
    }
    std::uint64_t stored = header.stored;
    padding_ = tar::padded(stored) - stored;
    const auto major = records.find("GNU.sparse.major");
    if (member.sparse && major != records.end() && major->second == "1") stored -= read_sparse_map(member, stored);
    if (member.sparse && !tar::segments_fit(member.segments, member.size, stored)) {
      damaged("the map of a sparse file is damaged");
    }
    last_name_ = member.name;
    found = ArchivedMember();
    found.stored = stored;
    if (input_.fd() >= 0 && stored >= kReadByPosition) {
      found.content = std::make_unique<RangeSource>(input_.fd(), input_.position(), stored);
      skip(stored);
      content_.emplace(input_, 0);
    } else {
      content_.emplace(input_, stored);
    }
    found.member = std::move(member);
  }

  bool read_header(tar::Header& header) {
    for (int num_zeros = 0;;) {
      header_at_ = input_.position();
      char block[tar::kBlock];
      const std::size_t length = input_.read_fully(block, sizeof block);
      if (length == 0 && (num_zeros != 0 || !any_)) return false;
      if (length == 0) damaged("Unexpected EOF in archive");
      if (length < sizeof block) damaged(any_ ? "Unexpected EOF in archive" : "This does not look like a tar archive");
      switch (tar::parse_header(block, header)) {
        case tar::Parsed::header:
          std::memcpy(last_block_, block, sizeof block);
          any_ = true;
          return true;
        case tar::Parsed::zeros:
          any_ = true;
          if (++num_zeros == 2) return false;
          break;
        case tar::Parsed::damaged:
          damaged(any_ ? "a header is damaged" : "This does not look like a tar archive");
      }
    }
  }

  std::string read_text(std::uint64_t bytes) {
    if (bytes > kMostRecords) damaged("a header of " + std::to_string(bytes) + " bytes is not believable");
    std::string text;
    // Bit by bit: what a damaged header says need not be there.
    while (text.size() < bytes) {
      const std::size_t before = text.size();
      const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(bytes - before, kReadAtOnce));
      text.resize(before + part);
      if (input_.read_fully(text.data() + before, part) != part) damaged("Unexpected EOF in archive");
    }
    skip(tar::padded(bytes) - bytes);
    return text;
  }

  std::uint64_t read_sparse_map(tar::Member& member, std::uint64_t stored) {
    std::string map;
    for (;;) {
      if (map.size() + tar::kBlock > stored || map.size() > kMostRecords) damaged("the map of a sparse file is damaged");
      map.resize(map.size() + tar::kBlock);
      if (input_.read_fully(map.data() + map.size() - tar::kBlock, tar::kBlock) != tar::kBlock) {
        damaged("Unexpected EOF in archive");
      }
      std::size_t used = 0;
      const int result = tar::parse_sparse_map(map, member.segments, used);
      if (result < 0) damaged("the map of a sparse file is damaged");
      if (result == 0) return used;
    }
  }

  // Of GNU's tar before pax: the map is in the header, and in blocks that follow it.
  void read_old_sparse(tar::Header& header) {
    char block[tar::kBlock];
    std::memcpy(block, last_block_, sizeof block);
    std::int64_t real_size = 0;
    bool fine = tar::parse_number(block + 483, 12, real_size) && real_size >= 0;
    const auto add = [&](const char* at, int count) {
      for (int i = 0; i < count; ++i, at += 24) {
        std::int64_t offset = 0, length = 0;
        fine = fine && tar::parse_number(at, 12, offset) && tar::parse_number(at + 12, 12, length) && offset >= 0 && length >= 0;
        if (offset == 0 && length == 0) continue;
        header.member.segments.push_back({static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)});
      }
    };
    add(block + 386, 4);
    bool more = block[482] != '\0';
    while (more && fine) {
      if (input_.read_fully(block, sizeof block) != sizeof block) damaged("Unexpected EOF in archive");
      add(block, 21);
      more = block[504] != '\0';
      fine = fine && header.member.segments.size() < kMostRecords / sizeof(tar::Segment);
    }
    if (!fine) damaged("the map of a sparse file is damaged");
    header.member.sparse = true;
    header.member.size = static_cast<std::uint64_t>(real_size);
  }

  void skip(std::uint64_t bytes) {
    if (!input_.skip(bytes)) damaged("Unexpected EOF in archive");
  }

  // So that a checksum at the end of compressed data is looked at.
  void drain() {
    if (input_.fd() >= 0) return;
    std::vector<char> unwanted(kReadAtOnce);
    for (std::uint64_t sum = 0; sum < kMostAfterEnd;) {
      const std::size_t length = input_.read(unwanted.data(), unwanted.size());
      if (length == 0) return;
      sum += length;
    }
  }

  [[noreturn]] void damaged(const std::string& what) const {
    std::string sentence = what;
    if (any_) sentence += " at byte " + std::to_string(header_at_);
    if (!last_name_.empty()) sentence += ", after " + last_name_;
    throw ArchiveError(sentence);
  }

  Input input_;
  std::optional<PartSource> content_;
  std::uint64_t padding_ = 0;
  std::uint64_t header_at_ = 0;
  bool any_ = false;
  char last_block_[tar::kBlock] = {};
  std::string last_name_;
  tar::Records global_;
};

}  // namespace

std::unique_ptr<MemberReader> read_tar(std::unique_ptr<ByteSource> source, int fd) {
  return std::make_unique<TarReader>(std::move(source), fd);
}

}  // namespace madang::files

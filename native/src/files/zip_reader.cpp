#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "member_reader.hpp"
#include "utf8.hpp"

namespace madang::files {
namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
constexpr std::uint64_t kMostDirectory = 4ull << 30;
enum Method { kStored = 0, kDeflated = 8 };
enum System { kDos = 0, kUnix = 3, kMac = 19 };

template <typename Number>
Number at(const char* bytes) {
  Number number;  // zip and this machine have the least significant byte first
  std::memcpy(&number, bytes, sizeof number);
  return number;
}

[[noreturn]] void damaged(const std::string& what) { throw ArchiveError("the zip archive is damaged: " + what); }

std::string read_range(int fd, std::uint64_t from, std::uint64_t bytes) {
  std::string text(bytes, '\0');
  RangeSource source(fd, from, bytes);
  if (source.read_fully(text.data(), bytes) != bytes) damaged("it ends too soon");
  return text;
}

// The content of a member, whose place is behind a header of its own that has to be read first.
class ZipContent final : public ByteSource {
 public:
  ZipContent(int fd, std::uint64_t header_at, std::uint64_t compressed, std::uint64_t limit, bool deflated)
      : fd_(fd), header_at_(header_at), compressed_(compressed), limit_(limit), deflated_(deflated) {}

  std::size_t read(char* to, std::size_t bytes) override {
    if (!source_) open();
    return source_->read(to, bytes);
  }

 private:
  void open() {
    const std::string header = read_range(fd_, header_at_, kLocalBytes);
    if (at<std::uint32_t>(header.data()) != kLocal) damaged("a member is not where the directory says");
    const std::uint64_t begin = header_at_ + kLocalBytes + at<std::uint16_t>(header.data() + 26) + at<std::uint16_t>(header.data() + 28);
    if (begin > limit_ || compressed_ > limit_ - begin) damaged("a member reaches into what follows it");
    source_ = std::make_unique<RangeSource>(fd_, begin, compressed_);
    if (deflated_) source_ = inflate_raw(std::move(source_));
  }

  const int fd_;
  const std::uint64_t header_at_;
  const std::uint64_t compressed_;
  const std::uint64_t limit_;  // where something else begins
  const bool deflated_;
  std::unique_ptr<ByteSource> source_;
};

std::int64_t dos_time(std::uint16_t time, std::uint16_t date) {
  tm parts{};
  parts.tm_sec = (time & 31) * 2;
  parts.tm_min = time >> 5 & 63;
  parts.tm_hour = time >> 11;
  parts.tm_mday = std::max(1, date & 31);
  parts.tm_mon = std::max(1, date >> 5 & 15) - 1;
  parts.tm_year = (date >> 9) + 80;
  parts.tm_isdst = -1;
  return mktime(&parts);
}

// The upper half of code page 437, in which names are that say nothing else.
std::string from_cp437(std::string_view text) {
  static const char* const kUpper =
      "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";
  static const std::vector<std::string> characters = [] {
    std::vector<std::string> made;
    for (const char* c = kUpper; *c;) {
      const auto first = static_cast<unsigned char>(*c);
      const std::size_t length = first < 0xe0 ? 2 : 3;
      made.emplace_back(c, length);
      c += length;
    }
    return made;
  }();
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      result += c;
    } else {
      result += characters[byte - 0x80];
    }
  }
  return result;
}

class ZipReader final : public MemberReader {
 public:
  ZipReader(int fd, std::uint64_t size) : fd_(fd), size_(size) {
    find_directory();
    check_overlaps();
  }

  std::uint64_t total_bytes() const override { return total_; }
  ByteSource& content() override { throw ArchiveError("a zip member has its own content"); }

  bool next(ArchivedMember& found) override {
    if (at_ == directory_.size()) return false;
    Item item;
    parse(at_, item);
    found = ArchivedMember();
    tar::Member& member = found.member;
    member.name = item.name;
    if (item.flags & 1) {
      throw ArchiveError(item.name + " is encrypted: encrypted zip archives are not extracted; use 'unzip' or '7z'");
    }
    if (item.method != kStored && item.method != kDeflated) {
      throw ArchiveError(item.name + " is compressed by method " + std::to_string(item.method) +
                         ", which is not supported; use '7z'");
    }
    member.mtime_s = item.mtime;
    set_type(item, member);
    member.size = member.type == tar::kFile || member.type == tar::kSymbolicLink ? item.size : 0;
    found.stored = member.size;
    found.has_crc = member.size != 0 || member.type == tar::kFile;
    found.crc = item.crc;
    if (item.method == kStored && item.size != item.compressed) damaged(item.name + " has two sizes");
    const auto after = std::upper_bound(begins_.begin(), begins_.end(), item.header_at);
    const std::uint64_t limit = after == begins_.end() ? directory_at_ : *after;
    found.content = std::make_unique<ZipContent>(fd_, item.header_at, item.compressed, limit, item.method == kDeflated);
    if (member.type == tar::kSymbolicLink) {
      if (item.size > 64 * 1024) damaged(item.name + " is a link of " + std::to_string(item.size) + " bytes");
      member.link.resize(static_cast<std::size_t>(item.size));
      if (found.content->read_fully(member.link.data(), member.link.size()) != member.link.size() ||
          crc32_of(0, member.link) != item.crc) {
        damaged(item.name + " is not what its checksum says");
      }
      if (member.link.find('\0') != std::string::npos) damaged(item.name + " has a target that is no name");
      member.size = found.stored = 0;
      found.has_crc = false;
      found.content.reset();
    }
    at_ += item.bytes;
    return true;
  }

 private:
  struct Item {
    std::size_t bytes = 0;  // in the directory
    std::string name;
    unsigned flags = 0, method = 0, system = 0;
    std::uint32_t crc = 0, attributes = 0;
    std::uint64_t compressed = 0, size = 0, header_at = 0;
    std::int64_t mtime = 0;
  };

  void find_directory() {
    // The end is followed by a comment of up to 64 KiB.
    const std::uint64_t tail_bytes = std::min<std::uint64_t>(size_, 65535 + kEndBytes);
    const std::uint64_t tail_at = size_ - tail_bytes;
    const std::string tail = read_range(fd_, tail_at, tail_bytes);
    std::size_t end = std::string::npos;
    for (std::size_t i = tail.size() < kEndBytes ? 0 : tail.size() - kEndBytes + 1; i-- > 0;) {
      if (at<std::uint32_t>(tail.data() + i) == kEnd && i + kEndBytes + at<std::uint16_t>(tail.data() + i + 20) <= tail.size()) {
        end = i;
        break;
      }
    }
    if (end == std::string::npos) damaged("its directory is missing; it may have been cut off");
    const char* record = tail.data() + end;
    count_ = at<std::uint16_t>(record + 10);
    std::uint64_t bytes = at<std::uint32_t>(record + 12);
    directory_at_ = at<std::uint32_t>(record + 16);
    if (at<std::uint16_t>(record + 4) != 0 && at<std::uint16_t>(record + 4) != 0xffff) {
      throw ArchiveError("the zip archive is one part of several; join them first, as with 'zip -s 0'");
    }
    if (count_ == 0xffff || bytes == 0xffffffff || directory_at_ == 0xffffffff) read_zip64(tail_at + end, bytes);
    if (directory_at_ > size_ || bytes > size_ - directory_at_ || bytes > kMostDirectory) damaged("its directory is not where it says");
    directory_ = read_range(fd_, directory_at_, bytes);
  }

  void read_zip64(std::uint64_t end_at, std::uint64_t& bytes) {
    if (end_at < kLocatorBytes) return;
    const std::string locator = read_range(fd_, end_at - kLocatorBytes, kLocatorBytes);
    if (at<std::uint32_t>(locator.data()) != kLocator64) return;  // it has just that many
    const auto record_at = at<std::uint64_t>(locator.data() + 8);
    if (size_ < kEnd64Bytes || record_at > size_ - kEnd64Bytes) damaged("its directory is not where it says");
    const std::string record = read_range(fd_, record_at, kEnd64Bytes);
    if (at<std::uint32_t>(record.data()) != kEnd64) damaged("its directory is not where it says");
    count_ = at<std::uint64_t>(record.data() + 32);
    bytes = at<std::uint64_t>(record.data() + 40);
    directory_at_ = at<std::uint64_t>(record.data() + 48);
  }

  // Every member must have bytes of its own: of the same ones could be made as much as one likes.
  void check_overlaps() {
    struct Range {
      std::uint64_t begin, end;
    };
    std::vector<Range> ranges;
    for (std::size_t position = 0; position < directory_.size();) {
      Item item;
      parse(position, item);
      if (item.header_at > directory_at_ || directory_at_ - item.header_at < kLocalBytes ||
          item.compressed > directory_at_ - item.header_at - kLocalBytes) {
        damaged(item.name + " is not where the directory says");
      }
      if (item.size > INT64_MAX - total_) damaged("its sizes are not believable");
      total_ += item.size;
      ranges.push_back({item.header_at, item.header_at + kLocalBytes + item.compressed});
      position += item.bytes;
    }
    if ((ranges.size() & 0xffff) != (count_ & 0xffff)) damaged("its directory lists " + std::to_string(ranges.size()) + " members, but says " + std::to_string(count_));
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      if (i != 0 && ranges[i].begin < ranges[i - 1].end) damaged("members overlap; this is how zip bombs are made");
      begins_.push_back(ranges[i].begin);
    }
  }

  void parse(std::size_t position, Item& item) const {
    const char* record = directory_.data() + position;
    const std::size_t left = directory_.size() - position;
    if (left < kCentralBytes || at<std::uint32_t>(record) != kCentral) damaged("its directory makes no sense");
    item.system = static_cast<unsigned char>(record[5]);
    item.flags = at<std::uint16_t>(record + 8);
    item.method = at<std::uint16_t>(record + 10);
    item.crc = at<std::uint32_t>(record + 16);
    item.compressed = at<std::uint32_t>(record + 20);
    item.size = at<std::uint32_t>(record + 24);
    const std::size_t name_bytes = at<std::uint16_t>(record + 28), extra_bytes = at<std::uint16_t>(record + 30);
    const std::size_t comment_bytes = at<std::uint16_t>(record + 32);
    item.attributes = at<std::uint32_t>(record + 38);
    item.header_at = at<std::uint32_t>(record + 42);
    item.bytes = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    if (item.bytes > left) damaged("its directory makes no sense");
    item.name.assign(record + kCentralBytes, name_bytes);
    item.mtime = dos_time(at<std::uint16_t>(record + 12), at<std::uint16_t>(record + 14));
    parse_extra(std::string_view(record + kCentralBytes + name_bytes, extra_bytes), item);
    const bool utf8 = item.flags & 0x800;
    // Without a word on it, unix programs write what the file system has: mostly UTF-8.
    if (!utf8 && !is_utf8(item.name) && item.system != kUnix) item.name = from_cp437(item.name);
    if (item.system == kDos && item.name.find('/') == std::string::npos) std::replace(item.name.begin(), item.name.end(), '\\', '/');
    if (item.name.empty() || item.name.find('\0') != std::string::npos) damaged("a name makes no sense");
  }

  static void parse_extra(std::string_view extra, Item& item) {
    while (extra.size() >= 4) {
      const auto id = at<std::uint16_t>(extra.data());
      const std::size_t length = at<std::uint16_t>(extra.data() + 2);
      if (length > extra.size() - 4) return;
      const std::string_view field = extra.substr(4, length);
      if (id == 1) {  // zip64: those of the numbers that didn't fit, in this order
        std::size_t used = 0;
        for (std::uint64_t* number : {&item.size, &item.compressed, &item.header_at}) {
          if (*number != 0xffffffff) continue;
          if (used + 8 > field.size()) damaged("sizes of " + item.name + " are missing");
          *number = at<std::uint64_t>(field.data() + used);
          used += 8;
        }
      } else if (id == 0x5455 && field.size() >= 5 && (field[0] & 1)) {  // time in UTC
        item.mtime = at<std::int32_t>(field.data() + 1);
      } else if (id == 0x7075 && field.size() > 5 && field[0] == 1) {  // the name in UTF-8
        if (crc32_of(0, item.name) == at<std::uint32_t>(field.data() + 1) && is_utf8(field.substr(5))) {
          item.name.assign(field.substr(5));
          item.flags |= 0x800;
        }
      }
      extra.remove_prefix(4 + length);
    }
  }

  static void set_type(const Item& item, tar::Member& member) {
    const unsigned mode = item.attributes >> 16;
    const bool has_mode = (item.system == kUnix || item.system == kMac) && mode != 0;
    const bool slash = item.name.back() == '/';
    member.type = slash || (has_mode && S_ISDIR(mode)) ? tar::kDirectory
                  : has_mode && S_ISLNK(mode)          ? tar::kSymbolicLink
                                                       : tar::kFile;
    member.mode = has_mode && (mode & 0777) != 0 ? mode & 07777 : member.type == tar::kDirectory ? 0755 : 0644;
  }

  const int fd_;
  const std::uint64_t size_;
  std::string directory_;
  std::uint64_t directory_at_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t total_ = 0;
  std::size_t at_ = 0;
  std::vector<std::uint64_t> begins_;  // of members, sorted
};

}  // namespace

std::unique_ptr<MemberReader> read_zip(int fd, std::uint64_t size) { return std::make_unique<ZipReader>(fd, size); }

std::unique_ptr<MemberReader> open_archive(int fd) {
  struct stat status;
  const bool file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && lseek(fd, 0, SEEK_CUR) == 0;
  std::unique_ptr<ByteSource> source = std::make_unique<StreamSource>(fd);
  std::string begin(8, '\0');
  if (file) {
    const ssize_t length = pread(fd, begin.data(), begin.size(), 0);
    if (length < 0) throw ArchiveError(std::string("Cannot read: ") + strerror(errno));
    begin.resize(static_cast<std::size_t>(length));
  } else {
    begin.resize(source->read_fully(begin.data(), begin.size()));
    source = std::make_unique<PrefixedSource>(begin, std::move(source));
  }
  const auto starts = [&](std::string_view magic) { return begin.compare(0, magic.size(), magic) == 0; };
  using namespace std::string_view_literals;
  if (starts("PK\3\4"sv) || starts("PK\5\6"sv)) {
    if (!file) throw ArchiveError("a zip archive can't be read from a pipe: its directory is at its end; save it to a file first");
    return read_zip(fd, static_cast<std::uint64_t>(status.st_size));
  }
  if (starts("\x1f\x8b"sv)) return read_tar(gunzip(std::move(source)), -1);
  if (starts("\x28\xb5\x2f\xfd"sv) || (begin.size() == 8 && (begin[0] & 0xf0) == 0x50 && begin.compare(1, 3, "\x2a\x4d\x18") == 0)) {
    return read_tar(unzstd(std::move(source)), -1);
  }
  for (const auto& [magic, name, program] : {std::tuple{"BZh"sv, "bzip2", "bzip2 -d"}, {"\xfd""7zXZ"sv, "xz", "xz -d"}, {"7z\xbc\xaf"sv, "7-Zip", "7z x"}, {"Rar!"sv, "RAR", "unrar x"}}) {
    if (starts(magic)) throw ArchiveError(std::string("this is ") + name + ", which is not read here; use '" + program + "'");
  }
  return read_tar(std::move(source), file ? fd : -1);
}

}  // namespace madang::files

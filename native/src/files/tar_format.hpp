// Headers of tar archives (POSIX pax, ustar, GNU), written and read. Knows nothing of files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace madang::files::tar {

inline constexpr std::size_t kBlock = 512;
inline constexpr std::size_t kRecord = 20 * kBlock;  // an archive is filled up to a multiple of it

enum Type : char {
  kFile = '0',
  kHardLink = '1',
  kSymbolicLink = '2',
  kCharacterDevice = '3',
  kBlockDevice = '4',
  kDirectory = '5',
  kFifo = '6',
};

struct Segment {  // of a sparse file: where there is data
  std::uint64_t offset;
  std::uint64_t length;
};

struct Member {
  std::string name;  // of a directory: ends with a slash when written
  char type = kFile;
  unsigned mode = 0;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::string user;
  std::string group;
  std::uint64_t size = 0;         // of the file
  std::int64_t mtime_s = 0;
  unsigned mtime_ns = 0;
  std::string link;               // what a link names
  unsigned device_major = 0;
  unsigned device_minor = 0;
  bool sparse = false;
  std::vector<Segment> segments;  // of a sparse file
  // Extended attributes by name (with ACLs as GNU's tar has them, under kAccessAcl, kDefaultAcl).
  std::vector<std::pair<std::string, std::string>> attributes;
};

inline constexpr std::string_view kAccessAcl = "SCHILY.acl.access";
inline constexpr std::string_view kDefaultAcl = "SCHILY.acl.default";

inline std::uint64_t padded(std::uint64_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

// How many bytes of content follow the headers, without padding.
std::uint64_t stored_size(const Member& member);

// Appends everything that comes before the content: the header, before it a pax header where the
// member needs one, and after it the map of a sparse file.
void write_headers(const Member& member, std::string& out);

// -- reading -------------------------------------------------------------------------------------

using Records = std::map<std::string, std::string, std::less<>>;

struct Header {
  Member member;
  char type = 0;            // as stored: 'x', 'g', 'L', 'K', 'S' are no members
  std::uint64_t stored = 0;  // bytes that follow, without padding
};

enum class Parsed { header, zeros, damaged };

// What a block of 512 bytes says.
Parsed parse_header(const char* block, Header& header);

// Adds records of a pax header; false when they are damaged.
bool parse_records(std::string_view text, Records& records);

// What pax records say goes before what the header says. False when one is damaged.
bool apply_records(const Records& records, Header& header);

// The map at the beginning of a pax 1.0 sparse file, "COUNT\nOFFSET\nLENGTH\n..."; `used` are its
// bytes with padding. Returns 0 when done, 1 when more is needed, -1 when damaged.
int parse_sparse_map(std::string_view text, std::vector<Segment>& segments, std::size_t& used);

// A number as tar stores it: octal, or binary when the first bit is set. False when damaged.
bool parse_number(const char* field, std::size_t length, std::int64_t& number);

// Whether the segments are in order and end within `size`, and add up to `stored`.
bool segments_fit(const std::vector<Segment>& segments, std::uint64_t size, std::uint64_t stored);

}  // namespace madang::files::tar

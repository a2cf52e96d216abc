// What listings are made of, written into strings without printf: numbers, sizes, modes, times,
// names of users and groups.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace madang::files {

void append_number(std::string& out, std::uint64_t number);
void append_number(std::string& out, std::int64_t number);
// At the right of a column; `append_left` at the left.
void append_right(std::string& out, std::string_view text, std::size_t width);
void append_right(std::string& out, std::uint64_t number, std::size_t width);
void append_left(std::string& out, std::string_view text, std::size_t width);
std::size_t digits(std::uint64_t number);

// "drwxr-xr-x"
void append_mode(std::string& out, unsigned mode);

// Of DT_REG, DT_DIR...: "file", "directory", "symlink"...
std::string_view type_name(unsigned char type);

// How sizes are shown.
struct SizeUnit {
  std::uint64_t bytes = 1;  // of one, rounded up; 0: like 1.5K, in steps of `step`
  unsigned step = 1024;
  std::string_view suffix = {};  // after the number

  bool is_human() const { return bytes == 0; }
};
void append_size(std::string& out, std::uint64_t bytes, const SizeUnit& unit);
std::string size_text(std::uint64_t bytes, const SizeUnit& unit);

// A size as people write one: "4096", "10k", "1M", "1MB" (of 1000). False if it is none. A letter
// alone, as in "K", is one of it.
bool parse_size(std::string_view text, std::uint64_t& bytes);
// The same for a unit in which sizes are shown, "human-readable" and "si" too.
bool parse_size_unit(std::string_view text, SizeUnit& unit);

// Local time, by strftime; `seconds` may be any. "%N" are the nanoseconds.
void append_time(std::string& out, const std::string& format, std::int64_t seconds,
                 std::uint32_t nanoseconds = 0);

// Times as they are shown many times over: where `format` has no seconds, one minute is formatted
// once. Not thread-safe.
class TimeCache {
 public:
  explicit TimeCache(std::string format);
  void append(std::string& out, std::int64_t seconds, std::uint32_t nanoseconds);

 private:
  static constexpr std::size_t kSlots = 64;
  struct Slot {
    std::int64_t minute = INT64_MIN;
    std::string text;
  };
  const std::string format_;
  const bool keeps_;
  Slot slots_[kSlots];
};

// Names of users or of groups; each id is looked up once. Thread-safe, and what it returns stays.
class IdNames {
 public:
  enum class Of { users, groups };
  explicit IdNames(Of of, bool numeric = false) : of_(of), numeric_(numeric) {}

  const std::string& name(std::uint32_t id);
  // Whether the system knows it.
  bool knows(std::uint32_t id);

 private:
  struct Known {
    std::string name;
    bool exists = false;
  };
  const Known& look_up(std::uint32_t id);

  const Of of_;
  const bool numeric_;
  std::mutex mutex_;
  std::unordered_map<std::uint32_t, Known> known_;  // its nodes do not move
};

}  // namespace madang::files

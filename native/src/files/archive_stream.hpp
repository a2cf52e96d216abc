// The archive as a stream of bytes that many lanes add to: it is cut into blocks, whoever fills a
// block compresses it, and blocks are written in their order, by one lane at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "compress.hpp"
#include "crew.hpp"

namespace madang::files {

// Bytes that are not cleared before they are used.
class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(std::size_t capacity)
      : data_(std::make_unique_for_overwrite<char[]>(capacity)), capacity_(capacity) {}

  char* data() const { return data_.get(); }
  char* end() const { return data_.get() + size_; }
  std::size_t size() const { return size_; }
  std::size_t left() const { return capacity_ - size_; }
  std::string_view view() const { return {data_.get(), size_}; }
  void grow(std::size_t bytes) { size_ += bytes; }
  void add(std::string_view bytes);  // there must be room
  void clear() { size_ = 0; }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

class ArchiveStream {
 public:
  // Writes to `fd`, which stays the caller's.
  ArchiveStream(int fd, Compression compression, int level, unsigned num_cores);

  // Adding bytes takes a turn. While a lane has it, others wait (and compress what is to be
  // compressed), so what is added in one turn stays together.
  class Turn {
   public:
    Turn(ArchiveStream& stream, Lane& lane);
    Turn(const Turn&) = delete;
    ~Turn();

    void add(std::string_view bytes);
    void add_zeros(std::uint64_t count);
    // Where to put more bytes, and for how many there is room; `filled` says how many were put.
    char* room(std::size_t& bytes);
    void filled(std::size_t bytes);

   private:
    ArchiveStream& stream_;
    Lane& lane_;
  };

  // Fills up to a whole record and writes what is left. Returns 0, or an errno of writing.
  int finish();

  int error() const { return error_.load(std::memory_order_relaxed); }
  std::uint64_t written() const { return written_; }  // after `finish`

 private:
  friend class HelpTask;
  using Lock = std::unique_lock<std::mutex>;

  void hand_over(Lane* lane);
  bool help(Lock& lock);  // false: there is nothing to do
  void write_ready(Lock& lock);
  void write(std::string_view bytes);

  const int fd_;
  const Compression compression_;
  const int level_;
  const std::size_t most_waiting_;
  const std::size_t most_in_flight_;

  // Of whoever has the turn.
  Bytes block_;
  std::uint64_t total_ = 0;  // before compression

  std::mutex mutex_;  // of what follows
  std::condition_variable turn_free_;
  std::condition_variable block_written_;
  bool turn_taken_ = false;
  std::uint64_t next_number_ = 0;
  std::uint64_t next_written_ = 0;
  std::deque<std::pair<std::uint64_t, Bytes>> filled_;  // in order
  struct Ready {
    Bytes block;
    std::string compressed;
  };
  std::map<std::uint64_t, Ready> ready_;
  bool writing_ = false;
  std::vector<Ready> spares_;
  std::vector<std::unique_ptr<Compressor>> compressors_;  // that are not in use

  std::uint64_t written_ = 0;  // of whoever writes
  std::atomic<int> error_{0};
};

}  // namespace madang::files

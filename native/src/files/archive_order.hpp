// What many lanes make at once comes into the archive in one order: parts are numbered, and what is
// made of a part before its turn waits in memory, up to a limit.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "archive_stream.hpp"
#include "crew.hpp"

namespace madang::files {

class ArchiveOrder {
 public:
  explicit ArchiveOrder(ArchiveStream& stream) : stream_(stream) {}

  // The lane works on that part now. Parts are begun in order, and each must be finished.
  void begin(Lane& lane, std::uint64_t part) { part_of_lane_[lane.index()] = part; }
  void finish(Lane& lane);

  // Adds what is in `bytes`, now or in its turn, and empties it.
  void hand_in(Lane& lane, Bytes& bytes);

  // Returns when all before this part is in the archive, and what was handed in of it (or the crew
  // is stopped). What the lane adds to the stream from then on is in order.
  void wait(Lane& lane);

 private:
  struct Waiting {
    std::vector<Bytes> bytes;
    bool finished = false;
  };

  void advance(std::unique_lock<std::mutex>& lock, Lane& lane);
  void add_waiting(std::unique_lock<std::mutex>& lock, Lane& lane, std::uint64_t part);
  std::condition_variable& turn_of(std::uint64_t part) { return turns_[part % turns_.size()]; }

  ArchiveStream& stream_;
  std::array<std::uint64_t, Crew::kMaxLanes> part_of_lane_{};  // each of its lane
  std::mutex mutex_;                                           // of what follows
  std::uint64_t next_ = 0;                                     // the part whose turn it is
  std::map<std::uint64_t, Waiting> waiting_;
  std::size_t num_waiting_ = 0;  // buffers
  std::vector<Bytes> spares_;
  // One for each lane that may wait: nobody is woken for nothing.
  std::array<std::condition_variable, Crew::kMaxLanes> turns_;
};

}  // namespace madang::files

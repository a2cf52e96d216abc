#include "archive_order.hpp"

#include <chrono>

namespace madang::files {
namespace {

constexpr std::size_t kMostWaiting = 256;
constexpr auto kLookEvery = std::chrono::milliseconds(50);  // whether the crew was stopped

}  // namespace

void ArchiveOrder::hand_in(Lane& lane, Bytes& bytes) {
  if (bytes.size() == 0) return;
  const std::uint64_t part = part_of_lane_[lane.index()];
  {
    std::unique_lock lock(mutex_);
    if (part != next_ && num_waiting_ < kMostWaiting) {
      const std::size_t capacity = bytes.size() + bytes.left();
      waiting_[part].bytes.push_back(std::move(bytes));
      ++num_waiting_;
      if (spares_.empty()) {
        lock.unlock();
        bytes = Bytes(capacity);
      } else {
        bytes = std::move(spares_.back());
        spares_.pop_back();
      }
      return;
    }
  }
  wait(lane);
  ArchiveStream::Turn(stream_, lane).add(bytes.view());
  bytes.clear();
}

void ArchiveOrder::wait(Lane& lane) {
  const std::uint64_t part = part_of_lane_[lane.index()];
  std::unique_lock lock(mutex_);
  while (part != next_ && !lane.should_stop()) turn_of(part).wait_for(lock, kLookEvery);
  if (part == next_) add_waiting(lock, lane, part);
}

void ArchiveOrder::finish(Lane& lane) {
  const std::uint64_t part = part_of_lane_[lane.index()];
  std::unique_lock lock(mutex_);
  if (part != next_) {
    waiting_[part].finished = true;
    return;
  }
  add_waiting(lock, lane, part);
  waiting_.erase(part);
  ++next_;
  advance(lock, lane);
}

// Nobody else adds meanwhile: it is this part's turn until it is finished.
void ArchiveOrder::add_waiting(std::unique_lock<std::mutex>& lock, Lane& lane, std::uint64_t part) {
  const auto found = waiting_.find(part);
  if (found == waiting_.end()) return;
  std::vector<Bytes> all = std::move(found->second.bytes);
  found->second.bytes.clear();
  num_waiting_ -= all.size();
  lock.unlock();
  for (Bytes& bytes : all) {
    ArchiveStream::Turn(stream_, lane).add(bytes.view());
    bytes.clear();
  }
  lock.lock();
  for (Bytes& bytes : all) spares_.push_back(std::move(bytes));
}

// Past the parts that were finished before their turn.
void ArchiveOrder::advance(std::unique_lock<std::mutex>& lock, Lane& lane) {
  for (;;) {
    const auto found = waiting_.find(next_);
    if (found == waiting_.end() || !found->second.finished) break;
    add_waiting(lock, lane, next_);
    waiting_.erase(next_);
    ++next_;
  }
  turn_of(next_).notify_all();
}

}  // namespace madang::files

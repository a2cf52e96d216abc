// How many requests should be under way at a time, and at what rate.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace madang::files {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::int64_t;

inline Nanoseconds now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

// What one thread's time went into since it was last asked: computing, waiting for a core, or
// waiting for something else (a server, a disk, a lock).
class Meter {
 public:
  Meter() = default;
  Meter(const Meter&) = delete;
  ~Meter();

  struct Reading {
    Nanoseconds computed = 0;
    Nanoseconds waited = 0;
    std::uint64_t requests = 0;
  };

  void start(Nanoseconds now);  // on the thread that is metered
  void count() { ++requests_; }
  void leave_out(Nanoseconds time) { wall_ += time; }  // while there was nothing to do
  bool due(Nanoseconds now, Nanoseconds every) const { return now - wall_ >= every; }
  Reading read(Nanoseconds now);

 private:
  Nanoseconds core_time() const;
  Nanoseconds run_queue_time();

  int schedstat_fd_ = -2;  // not opened yet; -1: the kernel has none
  Nanoseconds wall_ = 0;
  Nanoseconds computed_ = 0;
  Nanoseconds queued_ = 0;
  std::uint64_t requests_ = 0;
};

// Decides the number of lanes from what they measure. Thread-safe.
class Pace {
 public:
  Pace(unsigned fixed, unsigned num_cores, unsigned max_lanes);

  void take(const Meter::Reading& reading, Nanoseconds now, bool work_is_there);

  unsigned target() const { return target_.load(std::memory_order_relaxed); }
  std::size_t batch_size() const { return batch_size_.load(std::memory_order_relaxed); }
  bool waits() const { return waits_.load(std::memory_order_relaxed); }
  // How often a lane should measure itself: the more there are, the more rarely each.
  Nanoseconds measure_every() const { return measure_every_.load(std::memory_order_relaxed); }

 private:
  void set_target(unsigned lanes);
  void decide(Nanoseconds now);
  void judge_growth(Nanoseconds now, double requests_per_s);

  const unsigned fixed_;
  const unsigned num_cores_;
  const unsigned max_lanes_;
  std::atomic<unsigned> target_{1};
  std::atomic<std::size_t> batch_size_{512};
  std::atomic<bool> waits_{false};
  std::atomic<Nanoseconds> measure_every_{0};

  std::mutex mutex_;  // of what follows
  Meter::Reading sum_;
  bool work_is_there_ = true;
  Nanoseconds since_ = 0;

  // The last growth, until it is known whether it paid.
  struct Trial {
    bool running = false;
    unsigned before = 0;
    double requests_per_s_before = 0;
    Nanoseconds began = 0;
    std::uint64_t requests = 0;
  };
  Trial trial_;
  unsigned ceiling_;
  Nanoseconds ceiling_until_ = 0;
};

// Spreads requests evenly. Thread-safe.
class RateLimit {
 public:
  explicit RateLimit(double per_s) : interval_(per_s > 0 ? static_cast<Nanoseconds>(1e9 / per_s) : 0) {}

  bool is_set() const { return interval_ != 0; }
  Nanoseconds wait();  // how long it took

 private:
  const Nanoseconds interval_;
  std::atomic<Nanoseconds> next_{0};
};

}  // namespace madang::files

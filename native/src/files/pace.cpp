#include "pace.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace madang::files {
namespace {

constexpr double kHeadroom = 1.25;         // more under way than cores need on average
constexpr unsigned kFastestGrowth = 8;     // a step; the first measures are of few requests
constexpr double kPays = 1.1;              // growth must bring a tenth more
constexpr Nanoseconds kTrialTakes = 40'000'000;
constexpr std::uint64_t kTrialRequests = 200;
constexpr Nanoseconds kCeilingHolds = 2'000'000'000;
constexpr Nanoseconds kShortestStep = 2'000'000;
constexpr std::uint64_t kEnoughRequests = 4;
// A measure takes some system calls. With hundreds of lanes one each millisecond and lane would take a
// quarter of a core, and a few from all of them say as much.
constexpr Nanoseconds kMeasureEvery = 1'000'000;
constexpr unsigned kLanesToMeasure = 8;    // of these, on average, one measures itself each time
constexpr unsigned kMostRarely = 32;
constexpr double kWaitsFrom = 2;           // waiting, in multiples of computing

constexpr double kBatchTakes = 2e6;        // ns; of waiting, on one lane
constexpr std::size_t kSmallestBatch = 4;
constexpr std::size_t kLargestBatch = 512;

}  // namespace

Meter::~Meter() {
  if (schedstat_fd_ >= 0) close(schedstat_fd_);
}

void Meter::start(Nanoseconds now) {
  wall_ = now;
  computed_ = core_time();
  queued_ = run_queue_time();
  requests_ = 0;
}

Meter::Reading Meter::read(Nanoseconds now) {
  const Nanoseconds computed = core_time();
  const Nanoseconds queued = run_queue_time();
  Reading reading;
  reading.computed = computed - computed_;
  reading.waited = std::max<Nanoseconds>(0, now - wall_ - reading.computed - (queued - queued_));
  reading.requests = requests_;
  wall_ = now;
  computed_ = computed;
  queued_ = queued;
  requests_ = 0;
  return reading;
}

Nanoseconds Meter::core_time() const {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * Nanoseconds{1'000'000'000} + time.tv_nsec;
}

// The second number of schedstat: ns spent runnable, waiting for a core. Without it a busy machine
// would look like a slow server, and more threads would make it busier.
Nanoseconds Meter::run_queue_time() {
  if (schedstat_fd_ == -2) schedstat_fd_ = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (schedstat_fd_ < 0) return 0;
  char text[96];
  const ssize_t length = pread(schedstat_fd_, text, sizeof text - 1, 0);
  if (length <= 0) return 0;
  text[length] = '\0';
  char* end = nullptr;
  std::strtoll(text, &end, 10);
  return std::strtoll(end, nullptr, 10);
}

Pace::Pace(unsigned fixed, unsigned num_cores, unsigned max_lanes)
    : fixed_(fixed),
      num_cores_(num_cores),
      max_lanes_(max_lanes),
      ceiling_(max_lanes) {
  set_target(fixed ? fixed : std::min(num_cores, max_lanes));
}

void Pace::set_target(unsigned lanes) {
  target_.store(lanes, std::memory_order_relaxed);
  const unsigned times = std::clamp(lanes / kLanesToMeasure, 1u, kMostRarely);
  measure_every_.store(kMeasureEvery * times, std::memory_order_relaxed);
}

void Pace::take(const Meter::Reading& reading, Nanoseconds now, bool work_is_there) {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;  // somebody else measures: one sample less
  if (since_ == 0) since_ = now - reading.computed - reading.waited;
  sum_.computed += reading.computed;
  sum_.waited += reading.waited;
  sum_.requests += reading.requests;
  trial_.requests += reading.requests;
  work_is_there_ = work_is_there_ && work_is_there;
  if (now - since_ >= kShortestStep && sum_.requests >= kEnoughRequests) decide(now);
}

void Pace::decide(Nanoseconds now) {
  const double computed = static_cast<double>(std::max<Nanoseconds>(sum_.computed, 1));
  const double waited = static_cast<double>(sum_.waited);
  const double wait_each = waited / static_cast<double>(sum_.requests);
  waits_.store(waited > kWaitsFrom * computed, std::memory_order_relaxed);
  const double batch = kBatchTakes / std::max(wait_each, 1.0);
  batch_size_.store(std::clamp(static_cast<std::size_t>(batch), kSmallestBatch, kLargestBatch),
                    std::memory_order_relaxed);

  if (fixed_ == 0) {
    const double requests_per_s =
        static_cast<double>(sum_.requests) * 1e9 / static_cast<double>(now - since_);
    judge_growth(now, requests_per_s);
    const unsigned lanes = target();
    const double wanted = num_cores_ * (1 + waited / computed) * kHeadroom;
    const unsigned limit = std::min({max_lanes_, ceiling_, lanes * kFastestGrowth});
    const unsigned next =
        waits() ? static_cast<unsigned>(std::min<double>(limit, wanted)) : num_cores_;
    if (next > lanes && work_is_there_) {
      if (!trial_.running) trial_ = {true, lanes, requests_per_s, now, 0};
      set_target(next);
    } else if (next < lanes / 2) {  // half as many: no to and fro at each measure
      set_target(std::max(next, num_cores_));
    }
  }
  sum_ = {};
  since_ = now;
  work_is_there_ = true;
}

// A server that is at its limit answers more slowly when asked more at a time, which looks like a
// reason to ask more: what brings nothing is taken back.
void Pace::judge_growth(Nanoseconds now, double requests_per_s) {
  if (now >= ceiling_until_) ceiling_ = max_lanes_;
  if (!trial_.running || now - trial_.began < kTrialTakes || trial_.requests < kTrialRequests) return;
  trial_.running = false;
  if (!work_is_there_ || requests_per_s >= kPays * trial_.requests_per_s_before) return;
  ceiling_ = std::max(trial_.before, num_cores_);
  ceiling_until_ = now + kCeilingHolds;
  set_target(ceiling_);
}

Nanoseconds RateLimit::wait() {
  const Nanoseconds now = now_ns();
  Nanoseconds slot = next_.load(std::memory_order_relaxed);
  Nanoseconds mine;
  do {
    mine = std::max(slot, now);
  } while (!next_.compare_exchange_weak(slot, mine + interval_, std::memory_order_relaxed));
  if (mine <= now) return 0;
  std::this_thread::sleep_for(std::chrono::nanoseconds(mine - now));
  return now_ns() - now;
}

}  // namespace madang::files

#include "crew.hpp"

#include <sched.h>

#include <algorithm>
#include <system_error>

namespace madang::files {
namespace {

constexpr std::size_t kStartedAtOnce = 8;
// A hundred files on a local disk are done by then; starting a thread takes a fifth of it, on a core
// that others could use.
constexpr Nanoseconds kAloneFor = 1'000'000;
constexpr auto kPollEvery = std::chrono::milliseconds(50);

unsigned num_cores() {
  cpu_set_t mine;  // what this process may use, which is not always all that there are
  const int cores = sched_getaffinity(0, sizeof mine, &mine) == 0
                        ? CPU_COUNT(&mine)
                        : static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(static_cast<unsigned>(cores), 1u, Crew::kMaxLanes);
}

}  // namespace

// -- lanes -------------------------------------------------------------------------------------

void Lane::request() {
  meter_.count();
  if (crew_.limit_.is_set()) meter_.leave_out(crew_.limit_.wait());
  const Nanoseconds now = now_ns();
  if (meter_.due(now, crew_.pace_.measure_every())) {
    crew_.pace_.take(meter_.read(now), now, crew_.queued_.load(std::memory_order_relaxed) != 0);
    if (crew_.queued_.load(std::memory_order_relaxed) != 0) crew_.pushed();
  }
}

bool Lane::should_stop() {
  if (index_ == 0 && crew_.interrupted_ && Clock::now() >= crew_.next_poll_) {
    crew_.next_poll_ = Clock::now() + kPollEvery;
    if (*crew_.interrupted_ && (*crew_.interrupted_)()) crew_.stop();
  }
  return crew_.stopped();
}

void Lane::push(std::unique_ptr<Task> task) {
  crew_.unfinished_.fetch_add(1);
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    num_tasks_.store(tasks_.size(), std::memory_order_relaxed);
  }
  crew_.queued_.fetch_add(1);
  crew_.pushed();
}

std::vector<char>& Lane::buffer(std::size_t bytes) {
  if (buffer_.size() < bytes) buffer_.resize(bytes);
  return buffer_;
}

DirectoryReader& Lane::reader() {
  if (!reader_) reader_ = std::make_unique<DirectoryReader>();
  return *reader_;
}

std::unique_ptr<Task> Lane::pop_newest() {
  if (num_tasks_.load(std::memory_order_relaxed) == 0) return nullptr;
  std::lock_guard lock(mutex_);
  if (tasks_.empty()) return nullptr;
  std::unique_ptr<Task> task = std::move(tasks_.back());
  tasks_.pop_back();
  num_tasks_.store(tasks_.size(), std::memory_order_relaxed);
  return task;
}

std::unique_ptr<Task> Lane::take_oldest() {
  if (num_tasks_.load(std::memory_order_relaxed) == 0) return nullptr;
  std::lock_guard lock(mutex_);
  if (tasks_.empty()) return nullptr;
  std::unique_ptr<Task> task = std::move(tasks_.front());
  tasks_.pop_front();
  num_tasks_.store(tasks_.size(), std::memory_order_relaxed);
  return task;
}

// -- crew --------------------------------------------------------------------------------------

Crew::Crew(CrewOptions options)
    : options_(options),
      max_lanes_(std::clamp(options.jobs ? options.jobs : options.max_lanes, 1u, kMaxLanes)),
      pace_(std::min(options.jobs, kMaxLanes), num_cores(), max_lanes_),
      limit_(options.max_requests_per_s) {
  lanes_.reserve(max_lanes_);  // never moved: lanes refer to each other while some are added
  lanes_.push_back(std::make_unique<Lane>(*this, 0));
}

Crew::~Crew() {
  stop();
  join();
}

void Crew::add(std::unique_ptr<Task> task) {
  Lane& lane = *lanes_.front();
  unfinished_.fetch_add(1);
  queued_.fetch_add(1);
  std::lock_guard lock(lane.mutex_);
  lane.tasks_.push_front(std::move(task));  // what was added first is taken first
  lane.num_tasks_.store(lane.tasks_.size(), std::memory_order_relaxed);
}

void Crew::run(const std::function<bool()>& interrupted) {
  interrupted_ = &interrupted;
  next_poll_ = Clock::now() + kPollEvery;
  if (alone_until_ == 0) alone_until_ = now_ns() + kAloneFor;
  work_of_caller(*lanes_.front());
  interrupted_ = nullptr;
  if (stopped()) {
    join();
    drop_tasks();
  }
  std::lock_guard lock(idle_mutex_);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Crew::stop() {
  stopped_.store(true);
  wake_all();
}

void Crew::work_of_caller(Lane& lane) {
  lane.meter_.start(now_ns());
  while (!finished()) {
    lane.should_stop();
    if (std::unique_ptr<Task> task = find_task(lane)) {
      run_task(lane, std::move(task));
      continue;
    }
    const Nanoseconds idle_since = now_ns();
    {
      std::unique_lock lock(idle_mutex_);
      num_idle_.fetch_add(1);
      work_there_.wait_for(lock, kPollEvery, [this] { return finished() || queued_.load() != 0; });
      num_idle_.fetch_sub(1);
    }
    lane.meter_.leave_out(now_ns() - idle_since);
  }
}

void Crew::work(Lane& lane) {
  lane.meter_.start(now_ns());
  if (queued_.load() != 0) pushed();  // each that starts starts others: hundreds are there at once
  while (!stopped()) {
    std::unique_ptr<Task> task = lane.index_ < pace_.target() ? find_task(lane) : nullptr;
    if (task) {
      run_task(lane, std::move(task));
    } else {
      const Nanoseconds idle_since = now_ns();
      wait_for_work(lane);
      lane.meter_.leave_out(now_ns() - idle_since);
    }
  }
}

void Crew::run_task(Lane& lane, std::unique_ptr<Task> task) {
  try {
    task->run(lane);
    task.reset();  // what it holds is let go before it counts as done
  } catch (...) {
    {
      std::lock_guard lock(idle_mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    stop();
  }
  if (unfinished_.fetch_sub(1) == 1) wake_all();
}

std::unique_ptr<Task> Crew::find_task(Lane& lane) {
  if (queued_.load(std::memory_order_relaxed) == 0) return nullptr;
  std::unique_ptr<Task> task = lane.pop_newest();
  const unsigned started = num_started_.load(std::memory_order_acquire);
  // Others are asked in turn, beginning beside this lane, so that not all ask the same.
  for (unsigned step = 1; !task && step < started; ++step) {
    task = lanes_[(lane.index_ + step) % started]->take_oldest();
  }
  if (task) queued_.fetch_sub(1);
  return task;
}

// Work has come: wake a lane that has none, or start another one if that pays.
void Crew::pushed() {
  if (num_idle_.load() != 0) {
    { std::lock_guard lock(idle_mutex_); }  // whoever is about to sleep has seen it, or is woken
    work_there_.notify_one();
  } else if (num_started_.load(std::memory_order_relaxed) < pace_.target()) {
    if (now_ns() >= alone_until_) start_lanes();
  }
}

void Crew::start_lanes() {
  std::unique_lock lock(start_mutex_, std::try_to_lock);
  if (!lock || !may_start_ || stopped()) return;
  const unsigned started = num_started_.load(std::memory_order_relaxed);
  const std::size_t wanted = std::min<std::size_t>(queued_.load(), kStartedAtOnce);
  const unsigned last = static_cast<unsigned>(std::min<std::size_t>(started + wanted, pace_.target()));
  try {
    for (unsigned index = started; index < last; ++index) {
      if (lanes_.size() == index) lanes_.push_back(std::make_unique<Lane>(*this, index));
      threads_.emplace_back([this, index] { work(*lanes_[index]); });
      num_started_.store(index + 1, std::memory_order_release);
    }
  } catch (const std::system_error&) {
    may_start_ = false;  // the limit of processes is reached: those that have started do it all
  }
}

void Crew::wait_for_work(Lane& lane) {
  std::unique_lock lock(idle_mutex_);
  if (lane.index_ >= pace_.target()) {  // one too many for now
    not_wanted_.wait_for(lock, kPollEvery, [&] { return stopped() || lane.index_ < pace_.target(); });
    return;
  }
  num_idle_.fetch_add(1);
  work_there_.wait_for(lock, kPollEvery, [&] { return stopped() || queued_.load() != 0; });
  num_idle_.fetch_sub(1);
}

void Crew::wake_all() {
  { std::lock_guard lock(idle_mutex_); }
  work_there_.notify_all();
  not_wanted_.notify_all();
}

void Crew::join() {
  std::lock_guard lock(start_mutex_);
  may_start_ = false;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Crew::drop_tasks() {
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    while (lane->pop_newest()) {
      queued_.fetch_sub(1);
      unfinished_.fetch_sub(1);
    }
  }
}

std::uint64_t Crew::items() const {
  std::uint64_t sum = 0;
  const unsigned started = num_started_.load(std::memory_order_acquire);
  for (unsigned i = 0; i < started; ++i) sum += lanes_[i]->done_.items.load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t Crew::bytes() const {
  std::uint64_t sum = 0;
  const unsigned started = num_started_.load(std::memory_order_acquire);
  for (unsigned i = 0; i < started; ++i) sum += lanes_[i]->done_.bytes.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace madang::files

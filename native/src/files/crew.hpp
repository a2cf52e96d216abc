// Threads that share work, as many as pay. Knows nothing of trees of files.
//
// Each thread has a lane: a stack of tasks of its own (last in, first out, so that a tree is walked
// in depth and little of it is open at a time); a lane that has nothing takes the oldest task of
// another, which is the largest. The calling thread is the first lane, and the others are started
// when there is work for them that has gone on for a moment: a small job never pays for a thread.
//
// How many lanes work adapts: if a request spends 2 ms waiting for a server and 20 us on a core,
// a hundred lanes for each core keep that core busy. More are tried only while they bring more.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "../directory.hpp"
#include "pace.hpp"

namespace madang::files {

class Crew;
class Lane;

// A piece of work. Runs once, on any lane; is dropped without running when the crew is stopped.
class Task {
 public:
  virtual ~Task() = default;
  virtual void run(Lane& lane) = 0;
};

// What one lane has done; read by others while it goes on.
struct alignas(64) Done {
  std::atomic<std::uint64_t> items{0};
  std::atomic<std::uint64_t> bytes{0};

  void add(std::uint64_t new_items, std::uint64_t new_bytes = 0) {
    items.store(items.load(std::memory_order_relaxed) + new_items, std::memory_order_relaxed);
    bytes.store(bytes.load(std::memory_order_relaxed) + new_bytes, std::memory_order_relaxed);
  }
};

// One thread's part of the crew.
class Lane {
 public:
  Lane(Crew& crew, unsigned index) : crew_(crew), index_(index) {}

  // To be called before each request to a file system: keeps the rate asked for, and the measure
  // by which the number of lanes adapts.
  void request();

  // To be called now and then in work that is long by itself. True: give it up.
  bool should_stop();

  void push(std::unique_ptr<Task> task);

  unsigned index() const { return index_; }
  Crew& crew() { return crew_; }
  Done& done() { return done_; }
  std::size_t num_tasks() const { return num_tasks_.load(std::memory_order_relaxed); }
  std::vector<char>& buffer(std::size_t bytes);  // scratch, at least that large
  DirectoryReader& reader();                     // for one directory at a time

 private:
  friend class Crew;

  std::unique_ptr<Task> pop_newest();
  std::unique_ptr<Task> take_oldest();

  Crew& crew_;
  const unsigned index_;
  Done done_;
  Meter meter_;
  std::mutex mutex_;  // of tasks_
  std::deque<std::unique_ptr<Task>> tasks_;
  std::atomic<std::size_t> num_tasks_{0};
  std::vector<char> buffer_;
  std::unique_ptr<DirectoryReader> reader_;
};

struct CrewOptions {
  unsigned jobs = 0;              // how many lanes work; 0: it adapts
  unsigned max_lanes = 512;       // where it adapts
  double max_requests_per_s = 0;  // 0: no limit
};

class Crew {
 public:
  static constexpr unsigned kMaxLanes = 512;

  explicit Crew(CrewOptions options);
  Crew(const Crew&) = delete;
  ~Crew();

  // Adds a task before `run`.
  void add(std::unique_ptr<Task> task);

  // Works until nothing is left; may be called again after more was added. `interrupted` is called
  // by the calling thread some times a second; when it says true, what is left is dropped. Throws
  // what a task threw.
  void run(const std::function<bool()>& interrupted = {});

  void stop();
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  // How many things of one directory a task should take on: few where each waits for a server.
  std::size_t batch_size() const { return pace_.batch_size(); }

  // True where a request waits rather than computes (a network file system, a cold disk).
  bool waits() const { return pace_.waits(); }

  // Sums over all lanes.
  std::uint64_t items() const;
  std::uint64_t bytes() const;
  unsigned max_lanes() const { return max_lanes_; }

 private:
  friend class Lane;

  void work(Lane& lane);
  void work_of_caller(Lane& lane);
  void run_task(Lane& lane, std::unique_ptr<Task> task);
  std::unique_ptr<Task> find_task(Lane& lane);
  void pushed();
  void start_lanes();
  void wait_for_work(Lane& lane);
  bool finished() const { return unfinished_.load() == 0 || stopped(); }
  void wake_all();
  void join();
  void drop_tasks();

  const CrewOptions options_;
  const unsigned max_lanes_;
  Pace pace_;
  RateLimit limit_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // never moved; grown under start_mutex_
  std::vector<std::thread> threads_;          // of lanes 1 .. ; guarded by start_mutex_
  std::mutex start_mutex_;
  std::atomic<unsigned> num_started_{1};
  bool may_start_ = true;  // guarded by start_mutex_; false once the system refused a thread

  std::atomic<std::size_t> unfinished_{0};  // tasks that wait or run
  std::atomic<std::size_t> queued_{0};      // tasks that wait
  std::atomic<unsigned> num_idle_{0};
  std::atomic<bool> stopped_{false};

  std::mutex idle_mutex_;
  std::condition_variable work_there_;
  std::condition_variable not_wanted_;  // lanes beyond the target
  std::exception_ptr failure_;  // guarded by idle_mutex_

  Nanoseconds alone_until_ = 0;  // until then the caller works by itself; set before it begins
  const std::function<bool()>* interrupted_ = nullptr;  // called by lane 0 only
  std::chrono::steady_clock::time_point next_poll_{};
};

}  // namespace madang::files

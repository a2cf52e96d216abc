// What every operation takes besides its own options, and what it tells.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "crew.hpp"
#include "walk.hpp"

namespace madang::files {

// Something that could not be done; the rest is.
struct Failure {
  const char* action;  // "cannot remove": what was tried, as the ordinary command says it
  std::string path;
  int error;  // an errno; 0: the words say it all
  // Words after the path, another path, and words after that: "cannot open 'a' for reading".
  const char* joint = "";
  std::string other = {};
  const char* end = "";
};

struct Progress {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  std::uint64_t total_items = 0;  // 0: not known
  std::uint64_t total_bytes = 0;
};

// How an operation runs, and whom it tells. The functions may be empty.
struct Run {
  CrewOptions crew;
  // Called by the calling thread some times a second. True: stop; what was done stays done.
  std::function<bool(const Progress&)> poll;
  // Each failure as it happens, from any thread, one at a time.
  std::function<void(const Failure&)> failed;
};

// Collects failures of all lanes.
class Failures {
 public:
  explicit Failures(const Run& run) : run_(run) {}

  void add(const char* action, std::string path, int error) { add({action, std::move(path), error}); }
  void add(const Failure& failure) {
    std::lock_guard lock(mutex_);
    ++count_;
    if (run_.failed) run_.failed(failure);
  }
  std::uint64_t count() const {
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  const Run& run_;
  mutable std::mutex mutex_;
  std::uint64_t count_ = 0;
};

// Options with as many lanes as there are descriptors for.
inline CrewOptions crew_options(const Run& run) {
  CrewOptions options = run.crew;
  options.max_lanes = std::min(options.max_lanes, lanes_for(free_descriptors()));
  return options;
}

// Runs what was added to `crew`; false when it was stopped. What has become of it is told at the end,
// too.
inline bool run_crew(Crew& crew, const Run& run, const Progress& totals = {}) {
  const auto poll = [&] {
    Progress progress = totals;
    progress.items = crew.items();
    progress.bytes = crew.bytes();
    return run.poll && run.poll(progress);
  };
  crew.run(poll);
  if (crew.stopped()) return false;
  poll();
  return true;
}

}  // namespace madang::files

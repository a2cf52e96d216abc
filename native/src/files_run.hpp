// How Python runs an operation: without the GIL, with progress, stopped by Ctrl-C or by the caller.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "files/run.hpp"

namespace madang {

// One call from Python. `progress(items, bytes, total_items, total_bytes)` is called some times a
// second by the calling thread; true: stop. What it raises stops the operation and is raised.
class PythonRun {
 public:
  PythonRun(unsigned jobs, double max_ops, nanobind::object progress) : progress_(std::move(progress)) {
    run_.crew.jobs = std::min(jobs, files::Crew::kMaxLanes);
    run_.crew.max_requests_per_s = max_ops;
    run_.poll = [this](const files::Progress& progress) { return poll(progress); };
    run_.failed = [this](const files::Failure& failure) { failures_.push_back(failure); };
  }

  // Calls `operation(run)` without the GIL.
  template <typename Operation>
  auto call(Operation&& operation) {
    auto result = [&] {
      nanobind::gil_scoped_release no_gil;
      return operation(static_cast<const files::Run&>(run_));
    }();
    if (raised_) std::rethrow_exception(raised_);
    return result;
  }

  // [(action, path, errno)], sorted by path.
  nanobind::list failures() {
    std::sort(failures_.begin(), failures_.end(), [](const files::Failure& a, const files::Failure& b) {
      return a.path < b.path;
    });
    nanobind::list list;
    for (const files::Failure& failure : failures_) {
      list.append(nanobind::make_tuple(
          failure.action, nanobind::bytes(failure.path.data(), failure.path.size()), failure.error));
    }
    return list;
  }

 private:
  bool poll(const files::Progress& progress) {
    nanobind::gil_scoped_acquire gil;
    try {
      if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
      if (progress_.is_none()) return false;
      return nanobind::cast<bool>(progress_(progress.items, progress.bytes, progress.total_items,
                                            progress.total_bytes));
    } catch (...) {
      raised_ = std::current_exception();
      return true;
    }
  }

  files::Run run_;
  nanobind::object progress_;
  std::vector<files::Failure> failures_;
  std::exception_ptr raised_;
};

// Paths as Python has them, from bytes.
inline std::vector<std::string> to_paths(const nanobind::list& list) {
  std::vector<std::string> paths;
  for (nanobind::handle item : list) {
    const auto path = nanobind::cast<nanobind::bytes>(item);
    paths.emplace_back(path.c_str(), path.size());
  }
  return paths;
}

}  // namespace madang

#include "listing_module.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include <fcntl.h>

#include "arrays.hpp"
#include "files/find.hpp"
#include "files/listing.hpp"
#include "files/usage.hpp"
#include "files_run.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace madang {
namespace {

constexpr files::Columns kAllColumns{true, true, true, true, true, true, true, true};
constexpr std::size_t kBatchesAhead = 2;
constexpr auto kSignalPoll = std::chrono::milliseconds(50);

// A listing that goes on in threads of its own, a little ahead of who takes the batches.
class Batches {
 public:
  Batches(int root_fd, unsigned jobs, double max_ops) {
    run_.crew.jobs = jobs;
    run_.crew.max_requests_per_s = max_ops;
    run_.poll = [this](const files::Progress&) { return is_closed(); };
    run_.failed = [this](const files::Failure& failure) {
      std::lock_guard lock(mutex_);
      failures_.push_back(failure);
    };
    // Its own descriptor: the caller's may be closed while this goes on.
    root_ = Descriptor(openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) {
      PyErr_SetFromErrno(PyExc_OSError);
      throw nb::python_error();
    }
    thread_ = std::thread([this] { list(root_.get()); });
  }
  ~Batches() { close(); }

  // The next columns, or None at the end. Ctrl-C ends it.
  nb::object next() {
    std::optional<files::Batch> batch;
    while (true) {
      {
        nb::gil_scoped_release no_gil;
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kSignalPoll, [this] { return !ahead_.empty() || ended_; });
        if (!ahead_.empty()) {
          batch = std::move(ahead_.back());
          ahead_.pop_back();
          changed_.notify_all();
          break;
        }
        if (ended_) break;
      }
      if (PyErr_CheckSignals() != 0) {
        close();
        throw nb::python_error();
      }
    }
    if (batch) return to_tuple(std::move(*batch));
    if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
    return nb::none();
  }

  nb::list failures() {
    std::lock_guard lock(mutex_);
    nb::list list;
    for (const files::Failure& failure : failures_) {
      list.append(nb::make_tuple(nb::bytes(failure.path.data(), failure.path.size()), failure.error));
    }
    return list;
  }

  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
      nb::gil_scoped_release no_gil;
      thread_.join();
    }
    ahead_.clear();
    root_ = Descriptor();
  }

 private:
  static nb::object to_tuple(files::Batch&& batch) {
    return nb::make_tuple(
        nb::bytes(batch.paths.data(), batch.paths.size()), to_array(std::move(batch.offsets)),
        to_array(std::move(batch.types)), to_array(std::move(batch.sizes)),
        to_array(std::move(batch.blocks)), to_array(std::move(batch.mtimes_ns)),
        to_array(std::move(batch.modes)), to_array(std::move(batch.users)),
        to_array(std::move(batch.groups)), to_array(std::move(batch.num_links)),
        to_array(std::move(batch.inodes)));
  }

  void list(int root_fd) noexcept {
    try {
      files::list_tree(run_, root_fd, kAllColumns, [this](unsigned, files::Batch& batch) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ahead_.size() < kBatchesAhead || closed_; });
        if (!closed_) ahead_.push_back(std::move(batch));
        changed_.notify_all();
      });
    } catch (...) {
      std::lock_guard lock(mutex_);
      raised_ = std::current_exception();
    }
    std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  bool is_closed() {
    std::lock_guard lock(mutex_);
    return closed_;
  }

  files::Run run_;
  Descriptor root_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::vector<files::Batch> ahead_;
  std::vector<files::Failure> failures_;
  std::exception_ptr raised_;
  bool ended_ = false;
  bool closed_ = false;
  std::thread thread_;
};

// ([(path, bytes, inodes)] of the roots that are there, (bytes, inodes) together, complete, failures)
nb::tuple usage(const nb::list& paths, bool apparent, bool count_links, bool one_file_system,
                const std::vector<std::string>& exclude, unsigned jobs, double max_ops,
                nb::object progress) {
  files::UsageOptions options;
  options.apparent = apparent;
  options.count_links = count_links;
  options.one_file_system = one_file_system;
  options.max_depth = 0;
  options.exclude = exclude;
  PythonRun run(jobs, max_ops, std::move(progress));
  const std::vector<std::string> roots = to_paths(paths);
  const files::UsageResult done = run.call(
      [&](const files::Run& plain) { return files::usage(plain, roots, options, {}); });
  nb::list shown;
  for (const files::UsageOfRoot& root : done.roots) {
    if (!root.shown) continue;
    shown.append(nb::make_tuple(nb::bytes(root.path.data(), root.path.size()), root.usage.bytes,
                                root.usage.inodes));
  }
  return nb::make_tuple(shown, nb::make_tuple(done.total.bytes, done.total.inodes), done.finished,
                        run.failures());
}

// Paths of what matches, each with a NUL behind it.
class Paths final : public files::FindOutput {
 public:
  std::string& text(files::Lane& lane) override { return texts_[lane.index()]; }
  void matched(files::Found& found) override {
    found.append_path(found.out);
    found.out.push_back('\0');
  }
  void done(files::Lane&) override {}

  std::string all() const {
    std::string all;
    for (const std::string& text : texts_) all += text;
    return all;
  }

 private:
  std::vector<std::string> texts_ = std::vector<std::string>(files::Crew::kMaxLanes);
};

// (paths, complete, failures)
nb::tuple find(const nb::list& paths, const std::vector<std::string>& words, unsigned jobs,
               double max_ops, nb::object progress) {
  std::optional<files::Expression> expression;
  try {
    expression.emplace(files::parse_expression(words));
  } catch (const files::Misunderstood& misunderstood) {
    throw nb::value_error(misunderstood.what());
  }
  PythonRun run(jobs, max_ops, std::move(progress));
  const std::vector<std::string> roots = to_paths(paths);
  Paths found;
  const bool complete = run.call(
      [&](const files::Run& plain) { return files::find(plain, roots, *expression, false, found); });
  const std::string all = found.all();
  return nb::make_tuple(nb::bytes(all.data(), all.size()), complete, run.failures());
}

}  // namespace

void add_listing(nb::module_& module) {
  nb::class_<Batches>(module, "Batches")
      .def(nb::init<int, unsigned, double>(), "root_fd"_a, "jobs"_a, "max_ops"_a)
      .def("next", &Batches::next)
      .def("failures", &Batches::failures)
      .def("close", &Batches::close);
  module.def("usage", &usage, "paths"_a, "apparent"_a, "count_links"_a, "one_file_system"_a,
             "exclude"_a, "jobs"_a, "max_ops"_a, "progress"_a.none());
  module.def("find", &find, "paths"_a, "words"_a, "jobs"_a, "max_ops"_a, "progress"_a.none());
}

}  // namespace madang

#include "find.hpp"

#include <cerrno>
#include <memory>
#include <mutex>

#include "exclude.hpp"

namespace madang::files {
namespace {

class Find final : public Operation {
 public:
  Find(Search& search, const Expression& expression, FindOutput& output)
      : search_(search), expression_(expression), exclude_(expression.exclude), output_(output) {}

  bool entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
             std::unique_ptr<DirectoryState>&) override {
    const bool is_root = directory.is_above_roots();
    if (!is_root && !exclude_.empty() && exclude_.matches(directory, entry)) return false;
    Found found(search_, lane, directory, fd, entry, output_.text(lane));
    lane.done().add(1);
    const unsigned depth = found.depth();
    const bool is_directory = found.type() == DT_DIR;
    if (found.failed()) return false;
    const bool descends = is_directory && depth < expression_.max_depth;
    if (!descends || !expression_.depth_first) judge(found, depth);
    return descends && !found.prune && !found.quit && !found.failed();
  }

  void left(Lane& lane, Directory& directory) override {
    if (!expression_.depth_first) return;
    Directory& parent = *directory.parent();
    const Handle handle = parent.handle();
    const char* name = directory.name();
    const Entry entry{name, std::char_traits<char>::length(name), DT_DIR, 0};
    Found found(search_, lane, parent, handle ? handle.fd() : -1, entry, output_.text(lane));
    judge(found, directory.depth());
  }

  void failed(Lane&, Directory& directory, Stage, int error) override {
    if (error == ENOENT && !expression_.reports_vanished) return;
    search_.failures.add("", directory.path(), error);
  }

  bool shares_directories() const override { return asks_; }
  bool keeps_handles() const override { return expression_.depth_first; }

 private:
  void judge(Found& found, unsigned depth) {
    if (depth < expression_.min_depth) return;
    const std::size_t before = found.out.size();
    const bool held = !expression_.clause || expression_.clause->holds(found);
    if (expression_.quits && !in_time(found)) {
      found.out.resize(before);
      found.quit = true;
      return;
    }
    if (held && !found.failed() && !expression_.prints) output_.matched(found);
    output_.done(found.lane());
  }

  // Of what is looked at on all lanes, what comes after -quit does not count.
  bool in_time(Found& found) {
    std::lock_guard lock(mutex_);
    if (has_quit_) return false;
    has_quit_ = found.quit;
    if (has_quit_) found.lane().crew().stop();
    return true;
  }

  Search& search_;
  const Expression& expression_;
  const Exclude exclude_;
  FindOutput& output_;
  const bool asks_ = expression_.clause && expression_.clause->cost >= 2;
  std::mutex mutex_;  // of has_quit_
  bool has_quit_ = false;
};

}  // namespace

bool find(const Run& run, const std::vector<std::string>& roots, const Expression& expression,
          bool follow_roots, FindOutput& output) {
  Search search(run);
  search.mask = expression.mask;
  Crew crew(crew_options(run));
  Find operation(search, expression, output);
  Walk walk(crew, operation, {.one_file_system = expression.one_file_system});
  for (const std::string& root : roots) walk.add(root, follow_roots);
  return run_crew(crew, run);
}

}  // namespace madang::files

// What the commands have in common: options, errors in the ordinary commands' words, output of many
// threads, a line of progress.
#pragma once

#include <getopt.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "../files/run.hpp"
#include "job_report.hpp"

namespace madang::commands {

inline constexpr int kTrouble = 1;   // something could not be done
inline constexpr int kSeriousTrouble = 2;  // of ls and tar, also for a command line that can't be understood

// Numbers for `getopt_long` of options that have no letter; a command's own start at kOwnOptions.
enum CommonOption { kShowHelp = 1000, kVersion, kJobs, kMaxOps, kProgress, kNoProgress, kOwnOptions };

// To be put into a command's table of long options.
#define MADANG_COMMON_OPTIONS                                                       \
  {"help", no_argument, nullptr, ::madang::commands::kShowHelp},                        \
      {"version", no_argument, nullptr, ::madang::commands::kVersion},              \
      {"jobs", required_argument, nullptr, ::madang::commands::kJobs},              \
      {"max-ops", required_argument, nullptr, ::madang::commands::kMaxOps},         \
      {"progress", no_argument, nullptr, ::madang::commands::kProgress},            \
      {"no-progress", no_argument, nullptr, ::madang::commands::kNoProgress}

inline constexpr const char* kCommonHelp =
    "      --jobs N            N requests at a time (otherwise it adapts to what the\n"
    "                          file system takes)\n"
    "      --max-ops N         at most N requests a second, to spare a shared server\n"
    "      --progress          show progress although standard error is no terminal\n"
    "      --no-progress       show none\n"
    "      --help              this text\n"
    "      --version           the version\n";

// One command's run.
class Program {
 public:
  // `name` is what errors begin with; `help` is printed for --help, kCommonHelp after it; `misuse` is
  // the exit code where the command line can't be understood.
  Program(const char* name, const char* help, int misuse = kTrouble)
      : name_(name), help_(help), misuse_(misuse) {}

  // Handles an option of MADANG_COMMON_OPTIONS; false if it is another one. Prints help and exits
  // where that was asked for.
  bool take_common(int option, const char* value);

  // Ends the program.
  [[noreturn]] void misused(const std::string& what) const;

  // A number, "at least `least`", or the program ends with a sentence.
  std::uint64_t number(const char* option, const char* value, std::uint64_t least) const;

  // Writes "NAME: ACTION 'PATH': REASON" to standard error.
  void complain(const files::Failure& failure);
  void complain(const std::string& what);

  // Failures count but are not printed (-f of chmod and chown).
  void be_silent() { silent_ = true; }

  // The paths of a recursive command; without '/', with a complaint, if `preserve_root`.
  std::vector<std::string> roots(char** first, char** last, bool preserve_root);

  // For an operation: failures are printed, progress is shown, and told to the job it runs in.
  files::Run run();

  // After all is done: takes the progress line away. Returns kTrouble when something failed (or
  // standard output could not be written), else 0.
  int exit_code();

  bool has_failed() const { return failed_; }
  const char* name() const { return name_; }

 private:
  void show(const files::Progress& progress);
  void hide_progress();

  const char* name_;
  const char* help_;
  const int misuse_;
  files::CrewOptions crew_;
  int show_progress_ = -1;  // -1: on a terminal
  bool failed_ = false;
  bool silent_ = false;
  std::mutex speaking_;  // complaints come from any thread
  bool progress_shown_ = false;
  JobReport report_;
  std::int64_t started_ns_ = 0;
  std::int64_t last_shown_ns_ = 0;
};

// A name as GNU's commands quote it in messages: 'a b', and $'..' for what can't be printed.
std::string quoted(std::string_view name);

// As a JSON string; bytes that are not UTF-8 become lone surrogates (U+DC80 to U+DCFF), as Python's
// `os.fsdecode` has them, so that the name can be told exactly.
std::string json_string(std::string_view text);

// As many descriptors as the system allows; the first thing a command does.
void raise_descriptor_limit();

// Standard output for many threads: each appends whole lines to a buffer of its own, which is
// written when it is full. Ends the program quietly where nobody reads any more.
class Output {
 public:
  explicit Output(unsigned num_lanes) : buffers_(num_lanes) {}

  // Appends to the buffer of a lane; `flush_when_full` after whole lines.
  std::string& of(files::Lane& lane) { return buffers_[lane.index()].text; }
  void flush_when_full(files::Lane& lane) {
    std::string& text = of(lane);
    if (text.size() >= kFull) write(text);
  }
  void flush();                   // of all lanes, after the run
  // Each buffer that is not empty, after the run, in place of `flush`.
  template <typename Take>
  void each(Take&& take) {
    for (Buffer& buffer : buffers_) {
      if (!buffer.text.empty()) take(buffer.text);
    }
  }
  void write(std::string& text);  // and empties it

 private:
  static constexpr std::size_t kFull = 64 * 1024;
  struct alignas(64) Buffer {
    std::string text;
  };
  std::vector<Buffer> buffers_;
  std::mutex mutex_;
};

}  // namespace madang::commands

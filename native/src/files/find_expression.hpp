// What `find` looks for: tests and actions, put together by -a, -o, ! and parentheses.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "run.hpp"
#include "text.hpp"

namespace madang::files {

// What one search has in common.
struct Search {
  explicit Search(const Run& run) : failures(run) {}

  Failures failures;
  IdNames users{IdNames::Of::users};
  IdNames groups{IdNames::Of::groups};
  unsigned mask = 0;  // what statx is asked for
};

// Something that was found. What its directory does not tell is looked up when a test asks for it.
class Found {
 public:
  Found(Search& search, Lane& lane, const Directory& directory, int fd, const Entry& entry, std::string& out)
      : out(out), search_(search), lane_(lane), directory_(directory), fd_(fd), entry_(entry) {}

  // Null, and reported, where it can't be looked at; it is then no match, whatever else holds.
  const struct statx* status();
  bool failed() const { return failed_; }
  unsigned char type();         // DT_REG, DT_DIR...; DT_UNKNOWN if it failed
  // Of what a link leads to; DT_UNKNOWN, and why not, where it leads nowhere.
  unsigned char target_type(int& error);
  std::string_view link();      // what a symbolic link says

  unsigned depth() const { return is_root() ? 0 : directory_.depth() + 1; }
  bool is_root() const { return directory_.is_above_roots(); }
  std::string_view name() const;       // without slashes at its end
  const std::string& path();
  void append_path(std::string& to) const;
  std::string_view root() const;       // what the search was given
  std::string_view beneath_root();     // "" is the root

  Search& search() { return search_; }
  Lane& lane() { return lane_; }
  int fd() const { return fd_; }
  const Entry& entry() const { return entry_; }
  void fail(const char* action, int error);

  std::string& out;    // where actions print
  bool prune = false;  // not to be walked
  bool quit = false;   // the last one

 private:
  Search& search_;
  Lane& lane_;
  const Directory& directory_;
  const int fd_;
  const Entry& entry_;
  bool failed_ = false;
  bool has_status_ = false;
  struct statx status_;
  std::string path_;
  std::string link_;
};

// A part of an expression.
class Clause {
 public:
  virtual ~Clause() = default;
  virtual bool holds(Found&) const = 0;

  // 0: knows from the name; 1: from the type; 2: asks for the status; 3: asks for more.
  int cost = 0;
  // It does something: what comes before it is tested before it.
  bool acts = false;
};
using ClausePointer = std::unique_ptr<Clause>;

// Both, either, and not; `all` puts what is cheap first where that changes nothing.
ClausePointer all(std::vector<ClausePointer> clauses);
ClausePointer any(std::vector<ClausePointer> clauses);
ClausePointer sequence(std::vector<ClausePointer> clauses);  // the last one counts
ClausePointer opposite(ClausePointer clause);

struct Expression {
  ClausePointer clause;  // null: holds for everything
  unsigned mask = 0;     // of statx
  bool prints = false;   // has an action other than -prune and -quit
  bool quits = false;
  bool depth_first = false;
  bool one_file_system = false;
  bool reports_vanished = true;
  unsigned min_depth = 0;
  unsigned max_depth = UINT32_MAX;
  std::vector<std::string> exclude;  // shell patterns: left out with all beneath
};

// An expression that can't be understood, in words.
struct Misunderstood : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Understands what `find` does; each word may also be written with two dashes. Throws Misunderstood.
Expression parse_expression(const std::vector<std::string>& words);

// One word of it with its argument (find_tests.cpp, find_actions.cpp). Null: there is no such word.
// `now` is when the search began.
ClausePointer make_test(const std::string& word, const std::string& argument, const timespec& now,
                        Expression& expression);
ClausePointer make_action(const std::string& word, const std::string& argument, Expression& expression);
// Whether a word takes an argument: 1 or 0; -1: there is no such word.
int arguments_of_test(std::string_view word);
int arguments_of_action(std::string_view word);

}  // namespace madang::files

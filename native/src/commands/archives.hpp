// What madang-tar and madang-unpack have in common.
#pragma once

#include <signal.h>

#include <string>

#include "../files/extract.hpp"
#include "program.hpp"
#include "member_text.hpp"

namespace madang::commands {

// The signal that asked this command to end; 0: none.
extern volatile sig_atomic_t caught_signal;

// A first signal lets what is unfinished be removed; a second one ends at once.
void stop_on_signals();
// Ends as the signal would have, if there was one.
void end_on_signal();

// Failures in tar's words, stopped by signals.
files::Run archive_run(Program& program);

// What is told of members, as lines or JSON.
class MemberOutput {
 public:
  MemberOutput(bool json_lines, int verbose, bool numeric_owner, int fd = 1)
      : json_lines_(json_lines), verbose_(verbose), numeric_owner_(numeric_owner), fd_(fd) {}

  bool wanted() const { return json_lines_ || verbose_ > 0; }
  // `archive` and `what` may be empty.
  void add(const files::tar::Member& member, const std::string& archive, const char* what);
  void add_text(std::string text);
  void flush();

 private:
  const bool json_lines_;
  const int verbose_;
  const bool numeric_owner_;
  const int fd_;
  MemberLines lines_;
  std::string text_;
};

// Tells what extracting tells.
void connect(Program& program, MemberOutput& output, bool several, files::ExtractOptions& options);

}  // namespace madang::commands

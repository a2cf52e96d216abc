// What madang-cp and madang-sync have in common.
#pragma once

#include <string>

#include "../files/copy.hpp"
#include "program.hpp"

namespace madang::commands {

// "xxh3" (also if there is no word) or "sha256".
files::Checksum checksum_named(const Program& program, const char* word);

// Prints what a copy does, line by line.
class CopyOutput {
 public:
  CopyOutput(Program& program, files::Checksum verify, bool dry_run)
      : program_(program), output_(files::Crew::kMaxLanes), verify_(verify), dry_run_(dry_run) {}

  // Has `options` (of a copy or a sync) tell what is done.
  template <typename Options>
  void attach(Options& options, bool as_text, bool as_json) {
    options.warned = [this](const files::Failure& warning) { warn(warning); };
    options.wants_skipped = as_json;
    if (!as_text && !as_json) return;
    options.done = [this, as_json](files::Lane& lane, const files::CopyEvent& event) {
      std::string& text = output_.of(lane);
      as_json ? print_json(text, event) : print_text(text, event);
      output_.flush_when_full(lane);
    };
  }
  void flush() { output_.flush(); }

 private:
  void warn(const files::Failure& warning) const;
  void print_text(std::string& text, const files::CopyEvent& event) const;
  void print_json(std::string& text, const files::CopyEvent& event) const;

  Program& program_;
  Output output_;
  const files::Checksum verify_;
  const bool dry_run_;
};

}  // namespace madang::commands

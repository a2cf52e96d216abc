// What madang-cp and madang-sync have in common.
#pragma once

#include <string>

#include "../files/copy.hpp"
#include "program.hpp"

namespace madang::commands {

// "xxh3" (also if there is no word) or "sha256".
files::Checksum checksum_named(const Program& program, const char* word);

// Prints what a copy does, line by line. `options` must outlive it.
class CopyOutput {
 public:
  CopyOutput(Program& program, files::CopyOptions& options, bool as_text, bool as_json);

  void flush() { output_.flush(); }

 private:
  void print_text(std::string& text, const files::CopyEvent& event) const;
  void print_json(std::string& text, const files::CopyEvent& event) const;

  Output output_;
  files::Checksum verify_;
};

}  // namespace madang::commands

// Searching trees.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "find_expression.hpp"
#include "run.hpp"

namespace madang::files {

// Where what is found goes. Called from all lanes.
struct FindOutput {
  virtual ~FindOutput() = default;
  // What actions of the expression print to.
  virtual std::string& text(Lane& lane) = 0;
  // A match of an expression that prints nothing by itself.
  virtual void matched(Found& found) = 0;
  // After each that was looked at.
  virtual void done(Lane& lane) = 0;
};

// Searches `roots`. `follow_roots`: they may be symbolic links. False when it was stopped.
bool find(const Run& run, const std::vector<std::string>& roots, const Expression& expression,
          bool follow_roots, FindOutput& output);

}  // namespace madang::files

// Turns by number: who has the next number waits until all before have finished.
#pragma once

#include <cstdint>

#include "crew.hpp"

namespace madang::files {

class Order {
 public:
  virtual ~Order() = default;
  // Returns when everything before is in the archive (or the crew is stopped).
  virtual void wait(Lane& lane) = 0;
};

}  // namespace madang::files

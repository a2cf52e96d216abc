// Names and members as GNU's tar prints them.
#pragma once

#include <string>
#include <string_view>

#include "../files/tar_format.hpp"

namespace madang::commands {

// With backslashes for what can't be printed.
std::string escaped(std::string_view name);

// "-rw-r--r-- lee/lee      4096 2026-12-01 15:27 name", without the end of the line.
class MemberLines {
 public:
  std::string line(const files::tar::Member& member, bool numeric_owner);

 private:
  std::size_t width_ = 19;  // of owners and size together; grows as it has to
};

// One JSON object.
std::string json_of(const files::tar::Member& member);

}  // namespace madang::commands

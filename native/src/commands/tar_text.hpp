// Names and numbers as GNU's tar prints them.
#pragma once

#include <string>
#include <string_view>

#include "../files/tar_format.hpp"

namespace madang::commands {

// With backslashes for what can't be printed.
std::string escaped(std::string_view name);

}  // namespace madang::commands

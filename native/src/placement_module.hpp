// The Python face of placement.hpp.
#pragma once

#include <nanobind/nanobind.h>

namespace madang {

void add_placement(nanobind::module_& module);

}  // namespace madang

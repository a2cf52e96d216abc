// The Python face of listing, searching and summing up trees.
#pragma once

#include <nanobind/nanobind.h>

namespace madang {

void add_listing(nanobind::module_& module);

}  // namespace madang

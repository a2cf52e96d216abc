// The Python face of operations on trees of files.
#pragma once

#include <nanobind/nanobind.h>

namespace madang {

void add_files(nanobind::module_& module);

}  // namespace madang

// The Python face of copying, synchronizing, archiving and extracting.
#pragma once

#include <nanobind/nanobind.h>

namespace madang {

void add_file_transfers(nanobind::module_& module);

}  // namespace madang

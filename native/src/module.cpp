// The Python face: `madang_native._native`.

#include <nanobind/nanobind.h>

#include <utility>
#include <vector>

#include "arrays.hpp"
#include "files_module.hpp"
#include "files_transfer_module.hpp"
#include "listing_module.hpp"
#include "placement_module.hpp"
#include "scan.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using madang::to_array;

nb::list to_list(const std::vector<std::pair<std::string, int>>& errors) {
  nb::list found;
  for (const auto& [path, number] : errors) {
    found.append(nb::make_tuple(nb::bytes(path.data(), path.size()), number));
  }
  return found;
}

bool signal_arrived() {
  nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;  // leaves the exception set
}

nb::tuple scan(int root_fd, unsigned num_threads) {
  if (num_threads == 0) throw nb::value_error("num_threads must be at least 1");
  madang::Listing listing;
  {
    nb::gil_scoped_release no_gil;
    listing = madang::scan(root_fd, num_threads, signal_arrived);
  }
  if (PyErr_Occurred()) throw nb::python_error();
  return nb::make_tuple(nb::bytes(listing.paths.data(), listing.paths.size()),
                        to_array(std::move(listing.offsets)), to_array(std::move(listing.sizes)),
                        to_array(std::move(listing.mtimes_ns)), to_array(std::move(listing.kinds)),
                        to_array(std::move(listing.modes)), to_list(listing.errors));
}

}  // namespace

NB_MODULE(_native, module) {
  // At the interpreter's end caches may still hold objects: nothing that people need to read of.
  nb::set_leak_warnings(false);
  module.def("scan", &scan, "root_fd"_a, "num_threads"_a);
  madang::add_files(module);
  madang::add_file_transfers(module);
  madang::add_listing(module);
  madang::add_placement(module);
}

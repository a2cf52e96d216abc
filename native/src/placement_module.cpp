#include "placement_module.hpp"

#include <nanobind/ndarray.h>

#include <cstring>
#include <utility>
#include <vector>

#include "placement.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace madang {
namespace {

using Integers = nb::ndarray<const std::int64_t, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const std::int32_t, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::vector<std::int64_t> to_vector(const Integers& array) {
  return {array.data(), array.data() + array.size()};
}

std::vector<std::int32_t> to_vector(const Numbers& array) {
  return {array.data(), array.data() + array.size()};
}

// A Placement together with the arrays that it reads.
class Face {
 public:
  Face(const Integers& alike, const Integers& counts, bool fullest_first)
      : placement_(NodeTypes{alike.shape(0), alike.shape(1), to_vector(alike), to_vector(counts)},
                   fullest_first) {}

  void bind(Integers cpu, Integers memory, Integers device_milli, Integers device_memory,
            Integers type_of, Flags open, Integers rank, bool same) {
    Space space{.rows = cpu.shape(0),
                .columns = device_milli.shape(1),
                .cpu_milli = cpu.data(),
                .memory_bytes = memory.data(),
                .device_milli = device_milli.data(),
                .device_memory_bytes = device_memory.data(),
                .type_of = type_of.data(),
                .open = open.data(),
                .rank = rank.data()};
    arrays_ = {std::move(cpu),           std::move(memory),  std::move(device_milli),
               std::move(device_memory), std::move(type_of), std::move(rank)};
    open_ = std::move(open);
    if (same) {
      placement_.rebind(space);
    } else {
      placement_.bind(space);
    }
  }

  std::size_t add_ask(std::int64_t cpu, std::int64_t memory, std::int64_t whole, bool share,
                      const Integers& suits, const Integers& milli, const Integers& device_memory,
                      const Integers& bias) {
    return placement_.add_ask({cpu, memory, whole, share, to_vector(suits), to_vector(milli),
                               to_vector(device_memory), to_vector(bias)});
  }

  nb::tuple choose(std::size_t ask, const nb::object& allowed) {
    const bool* flags = nullptr;
    Flags array;
    if (!allowed.is_none()) {
      array = nb::cast<Flags>(allowed);
      flags = array.data();
    }
    const Choice choice = placement_.choose(ask, flags);
    return nb::make_tuple(choice.row, choice.column);
  }

  Placement& placement() { return placement_; }

 private:
  Placement placement_;
  std::vector<Integers> arrays_;
  Flags open_;
};

void set_fragments(Face& face, const Integers& weights, const Integers& cpu,
                   const Integers& counts, const Integers& milli, const Integers& thresholds) {
  face.placement().set_fragments({to_vector(weights), to_vector(cpu), to_vector(counts),
                                  to_vector(milli), to_vector(thresholds)});
}

void set_prices(Face& face, const Integers& lambda, const Integers& cpu_thresholds,
                const Integers& table_of, const Numbers& shares, const Numbers& whole_values,
                const Integers& slot_counts, const Integers& slot_cpu,
                const Integers& slot_values) {
  if (shares.ndim() != 4 || whole_values.ndim() != 4) {
    throw nb::value_error("tables of prices have four dimensions");
  }
  if (lambda.size() > 32) throw nb::value_error("at most 32 prices of a CPU");
  face.placement().set_prices({.lambdas = lambda.size(),
                               .levels = shares.shape(2),
                               .wholes = whole_values.shape(2),
                               .lambda = to_vector(lambda),
                               .cpu_thresholds = to_vector(cpu_thresholds),
                               .table_of = to_vector(table_of),
                               .shares = to_vector(shares),
                               .whole_values = to_vector(whole_values),
                               .slot_counts = to_vector(slot_counts),
                               .slot_cpu_milli = to_vector(slot_cpu),
                               .slot_values = to_vector(slot_values)});
}

}  // namespace

void add_placement(nb::module_& module) {
  nb::class_<Face>(module, "Placement")
      .def(nb::init<const Integers&, const Integers&, bool>(), "alike"_a, "counts"_a,
           "fullest_first"_a)
      .def("copy", [](const Face& face) { return Face(face); })
      .def("bind", &Face::bind, "cpu_milli"_a, "memory_bytes"_a, "device_milli"_a,
           "device_memory_bytes"_a, "type_of"_a, "open"_a, "rank"_a, "same"_a)
      .def("touch", [](Face& face, std::size_t row) { return face.placement().touch(row); },
           "row"_a)
      .def("add_ask", &Face::add_ask, "cpu_milli"_a, "memory_bytes"_a, "whole"_a, "share"_a,
           "suits"_a, "milli"_a, "device_memory_bytes"_a, "bias"_a)
      .def("choose", &Face::choose, "ask"_a, "allowed"_a.none())
      .def("choose_device",
           [](Face& face, std::size_t ask, std::size_t row) {
             return face.placement().choose_device(ask, row);
           },
           "ask"_a, "row"_a)
      .def("set_fragments", &set_fragments, "weights"_a, "cpu_milli"_a, "counts"_a, "milli"_a,
           "thresholds"_a)
      .def("set_prices", &set_prices, "lambdas"_a, "cpu_thresholds"_a, "table_of"_a, "shares"_a,
           "whole_values"_a, "slot_counts"_a, "slot_cpu_milli"_a, "slot_values"_a);
}

}  // namespace madang

// Choosing the node of a cluster for the next replica. Knows nothing of Python.
//
// Nodes in the same *state* (type, free CPU, free part of each device) score alike, and few of a
// cluster's nodes differ: scores are kept by (state, ask), so that a decision is one pass over the
// nodes' state numbers. What is kept is shared by copies, which are cheap; no two threads may use
// copies of one another at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace madang {

// What is free; row i is node i, column c a device of it. Borrowed: it outlives its users.
struct Space {
  std::size_t rows = 0;
  std::size_t columns = 0;
  const std::int64_t* cpu_milli = nullptr;
  const std::int64_t* memory_bytes = nullptr;
  const std::int64_t* device_milli = nullptr;         // rows x columns
  const std::int64_t* device_memory_bytes = nullptr;  // rows x columns
  const std::int64_t* type_of = nullptr;
  const bool* open = nullptr;
  const std::int64_t* rank = nullptr;  // the order among equals, lowest first
};

// Nodes that were bought alike; tables are types x columns. Devices of a type with the same number
// in `alike` can stand for each other; `counts`: they are whole devices, which scores speak of.
struct NodeTypes {
  std::size_t types = 0;
  std::size_t columns = 0;
  std::vector<std::int64_t> alike;
  std::vector<std::int64_t> counts;
};

// One need, worked out for each type of node: tables are types x columns.
struct Ask {
  std::int64_t cpu_milli = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t whole = 0;  // devices that nobody else holds; 0 for a share or none
  bool share = false;
  std::vector<std::int64_t> suits;
  std::vector<std::int64_t> milli;
  std::vector<std::int64_t> device_memory_bytes;
  std::vector<std::int64_t> bias;  // by type, in units of value
};

// What is likely to be asked for, for the expected fragmentation of a node (FGD, ATC '23).
struct Fragments {
  std::vector<std::int64_t> weights;     // of each class
  std::vector<std::int64_t> cpu_milli;   // of each class
  std::vector<std::int64_t> counts;      // devices of each class; 0: it asks for none
  std::vector<std::int64_t> milli;       // types x classes; 0: the type has no device for it
  std::vector<std::int64_t> thresholds;  // a fall by at least thresholds[i] scores i + 1
};

// The residual value of nodes, in `unit` parts of a point of the score; the formula is told in
// madang.scheduling.placement.prices, which makes the tables.
struct Prices {
  std::size_t lambdas = 0;  // how many there are
  std::size_t levels = 0;   // of a device's free part; the highest is all of it
  std::size_t wholes = 0;   // most whole-free devices of a node, plus one
  std::vector<std::int64_t> lambda;          // value of a CPU
  std::vector<std::int64_t> cpu_thresholds;  // ascending
  std::vector<std::int64_t> table_of;        // by type; -1: its devices are worth nothing
  std::vector<std::int32_t> shares;        // tables x thresholds x levels x lambdas
  std::vector<std::int32_t> whole_values;  // tables x thresholds x wholes x lambdas
  std::vector<std::int64_t> slot_counts;   // of each kind of request for several devices
  std::vector<std::int64_t> slot_cpu_milli;
  std::vector<std::int64_t> slot_values;  // tables x kinds
};

struct Choice {
  std::int64_t row = -1;     // -1: there is no room
  std::int64_t column = -1;  // the device, for a share
};

class Placement {
 public:
  // `fullest_first`: among devices of equal score the fullest one is taken, else the first one.
  Placement(NodeTypes types, bool fullest_first);

  void bind(const Space& space);  // reads every row
  void rebind(const Space& space) { space_ = space; }  // the same content elsewhere
  std::size_t touch(std::size_t row);  // the row has changed; how many states have been seen
  void set_fragments(Fragments fragments);  // forgets all asks, as the next one
  void set_prices(Prices prices);
  std::size_t add_ask(Ask ask);
  Choice choose(std::size_t ask, const bool* allowed);
  std::int64_t choose_device(std::size_t ask, std::size_t row);

 private:
  struct Shared;

  void own();

  Space space_;
  std::vector<std::int32_t> state_of_;  // by row
  std::vector<std::size_t> tied_;       // scratch
  std::shared_ptr<Shared> shared_;
};

}  // namespace madang

// Columns for numpy, without a copy.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <utility>
#include <vector>

namespace madang {

// Hands a column over to numpy, which frees it when the last view of it is gone.
template <typename Value>
nanobind::object to_array(std::vector<Value> column) {
  auto owned = std::make_unique<std::vector<Value>>(std::move(column));
  nanobind::capsule owner(owned.get(), [](void* pointer) noexcept {
    delete static_cast<std::vector<Value>*>(pointer);
  });
  std::vector<Value>* values = owned.release();
  return nanobind::cast(nanobind::ndarray<nanobind::numpy, Value, nanobind::ndim<1>>(
      values->data(), {values->size()}, owner));
}

}  // namespace madang

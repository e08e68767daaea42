// Conversions between host tensors and the interpreter's arrays, and rounding to element types.
#include "ir/graph/array.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "ir/half.h"

namespace lathe::ir::graph {
namespace {

// Calls f(T{}) with the C++ type that stores one element of an integer type or bool.
template <typename F>
auto with_integer_type(Type type, F f) {
  switch (type) {
    case Type::boolean: return f(uint8_t{});
    case Type::i8: return f(int8_t{});
    case Type::u8: return f(uint8_t{});
    case Type::i16: return f(int16_t{});
    case Type::u16: return f(uint16_t{});
    case Type::i32: return f(int32_t{});
    case Type::u32: return f(uint32_t{});
    case Type::u64: return f(uint64_t{});
    default: assert(type == Type::i64 && "not an integer type"); return f(int64_t{});
  }
}

}  // namespace

Array Array::zeros(Type type, std::vector<int64_t> shape) {
  Array array{.type = type, .shape = std::move(shape), .reals = {}, .integers = {}, .blocks = {}};
  const auto count = static_cast<size_t>(array.elements());
  if (array.is_real()) {
    array.reals.resize(count);
  } else {
    array.integers.resize(count);
  }
  return array;
}

int64_t Array::elements() const {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

Array to_array(const Tensor& tensor) {
  Array array = Array::zeros(tensor.type(), tensor.shape());
  if (array.is_real()) {
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      array.reals[static_cast<size_t>(i)] = tensor.at(i);
    }
    if (info(tensor.type()).block_elements > 1) {
      array.blocks.assign(tensor.data(), tensor.data() + tensor.bytes());
    }
    return array;
  }
  with_integer_type(tensor.type(), [&](auto zero) {
    const auto source = tensor.as<decltype(zero)>();
    for (size_t i = 0; i < source.size(); ++i) {
      array.integers[i] = wrap_to(tensor.type(), static_cast<int64_t>(source[i]));
    }
  });
  return array;
}

Tensor to_tensor(const Array& array) {
  Tensor tensor(array.type, array.shape);
  if (info(array.type).block_elements > 1) {
    if (!array.blocks.empty()) std::memcpy(tensor.data(), array.blocks.data(), array.blocks.size());
    return tensor;
  }
  if (array.is_real()) {
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      tensor.set(i, array.reals[static_cast<size_t>(i)]);
    }
    return tensor;
  }
  with_integer_type(array.type, [&](auto zero) {
    auto target = tensor.as<decltype(zero)>();
    for (size_t i = 0; i < target.size(); ++i) {
      target[i] = static_cast<decltype(zero)>(array.integers[i]);
    }
  });
  return tensor;
}

double round_to(Type type, double value) {
  switch (type) {
    case Type::f32: return static_cast<double>(static_cast<float>(value));
    case Type::f16: return static_cast<double>(f16_to_float(double_to_f16(value)));
    case Type::bf16: return static_cast<double>(bf16_to_float(double_to_bf16(value)));
    default: assert(false && "not a plain float type"); return value;
  }
}

int64_t wrap_to(Type type, int64_t value) {
  if (type == Type::boolean) return value != 0 ? 1 : 0;
  return with_integer_type(type, [value](auto zero) {
    return static_cast<int64_t>(static_cast<decltype(zero)>(value));
  });
}

void copy_elements(const Array& from, size_t first, size_t count, Array& to, size_t target) {
  const auto copy = [](const auto& source, size_t begin, size_t n, auto& destination, size_t at) {
    std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(begin), n,
                destination.begin() + static_cast<std::ptrdiff_t>(at));
  };
  if (!to.is_real()) return copy(from.integers, first, count, to.integers, target);
  copy(from.reals, first, count, to.reals, target);
  if (from.blocks.empty() || to.blocks.empty()) return;
  const auto bytes = [&](size_t elements) {
    return static_cast<size_t>(bytes_of(to.type, static_cast<int64_t>(elements)));
  };
  copy(from.blocks, bytes(first), bytes(count), to.blocks, bytes(target));
}

std::vector<double> to_doubles(const Array& array) {
  if (array.is_real()) return array.reals;
  std::vector<double> values;
  values.reserve(array.integers.size());
  for (const int64_t value : array.integers) {
    values.push_back(array.type == Type::u64 ? static_cast<double>(static_cast<uint64_t>(value))
                                             : static_cast<double>(value));
  }
  return values;
}

}  // namespace lathe::ir::graph

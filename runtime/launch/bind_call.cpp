// The argument checks of a kernel call. Everything a caller can get wrong is found here, before any
// generated code runs.
#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <string>

#include "runtime/launch/launch.h"
#include "runtime/launch/repeated_element.h"

namespace lathe::runtime {
namespace {

static_assert(static_cast<int>(DataType::q4_K) == static_cast<int>(ir::Type::q4_K) &&
                  static_cast<int>(DataType::i64) == static_cast<int>(ir::Type::i64) &&
                  static_cast<int>(DataType::f16) == static_cast<int>(ir::Type::f16),
              "DataType and ir::Type number their elements alike");

ir::Type element(const TensorView& view) { return static_cast<ir::Type>(view.type); }

// Bytes between neighbours along dimension `k`; strides of block-quantised tensors count values.
int64_t byte_stride(const TensorView& view, int k) {
  const ir::TypeInfo& info = ir::info(element(view));
  return info.blocks(view.strides[k]) * info.block_bytes;
}

std::string print_shape(const TensorView& view) {
  std::string text = "[";
  for (int i = 0; i < view.rank; ++i) text += (i == 0 ? "" : ", ") + std::to_string(view.shape[i]);
  return text + "]";
}

std::string print_shape(const OperandRule& rule) {
  std::string text = "[";
  for (size_t i = 0; i < rule.shape.size(); ++i) {
    const auto& dim = rule.shape[i];
    text += i == 0 ? "" : ", ";
    if (dim.symbol.empty() || dim.factor != 1) text += std::to_string(dim.factor);
    if (!dim.symbol.empty()) text += (dim.factor != 1 ? "*" : "") + dim.symbol;
  }
  return text + "]";
}

// The bytes a view spans, from its first to past its last element.
struct Extent {
  uintptr_t begin = 0, end = 0;
};

bool is_empty(const TensorView& view) {
  for (int k = 0; k < view.rank; ++k)
    if (view.shape[k] == 0) return true;
  return false;
}

// Whether all bytes between the first and the last element have addresses.
bool is_addressable(const TensorView& view) {
  constexpr int64_t kMost = int64_t{1} << 47;
  const ir::TypeInfo& info = ir::info(element(view));
  const auto grow = [](int64_t& sum, int64_t count, int64_t bytes) {
    int64_t product = 0;
    return !__builtin_mul_overflow(count, bytes, &product) &&
           !__builtin_add_overflow(sum, product, &sum) && sum <= kMost;
  };
  const int64_t row = view.rank == 0 ? 1 : view.shape[view.rank - 1];
  int64_t bytes = 0;
  const int64_t blocks = info.blocks(row);
  if (blocks == INT64_MAX || !grow(bytes, blocks + 1, info.block_bytes)) return false;
  for (int k = 0; k + 1 < view.rank; ++k)
    if (!grow(bytes, view.shape[k] - 1, byte_stride(view, k))) return false;
  return reinterpret_cast<uintptr_t>(view.data) <= UINTPTR_MAX - static_cast<uintptr_t>(bytes);
}

int64_t bytes_below(const TensorView& view, int dimension) {
  int64_t last = 0;
  for (int k = dimension; k + 1 < view.rank; ++k)
    last += (view.shape[k] - 1) * byte_stride(view, k);
  const int64_t row = view.rank == 0 ? 1 : view.shape[view.rank - 1];
  return last + ir::bytes_of(element(view), row);
}

Extent extent(const TensorView& view) {
  const auto begin = reinterpret_cast<uintptr_t>(view.data);
  return {begin, begin + static_cast<uintptr_t>(span_bytes(view))};
}

// Interleaved views (the q and k columns of one fused tensor) share a span but no byte: equal row
// strides, and each one's row fits in what the other's row leaves of a stride.
bool interleaved(const TensorView& a, const TensorView& b) {
  if (a.rank < 2 || b.rank < 2) return false;
  const int64_t stride = byte_stride(a, 0);
  if (stride <= 0 || byte_stride(b, 0) != stride) return false;
  const auto distance =
      static_cast<int64_t>(reinterpret_cast<intptr_t>(b.data) - reinterpret_cast<intptr_t>(a.data));
  const int64_t shift = ((distance % stride) + stride) % stride;
  return shift >= bytes_below(a, 1) && shift + bytes_below(b, 1) <= stride;
}

// A dimension whose stride does not pass over all that lies within it: two elements of the view
// would be one memory. Which dimensions lie within which, their strides say, not their order: heads
// may lie side by side in a row. -1: there is none.
int overlapping_dimension(const TensorView& view) {
  std::array<int, TensorView::kMaxRank> inner{};
  int count = 0;
  for (int k = 0; k + 1 < view.rank; ++k) {
    if (view.shape[k] <= 1) continue;
    int at = count++;
    for (; at > 0 && view.strides[inner[at - 1]] > view.strides[k]; --at) inner[at] = inner[at - 1];
    inner[at] = k;
  }
  int64_t within = bytes_below(view, view.rank - 1);
  for (int i = 0; i < count; ++i) {
    const int k = inner[i];
    if (byte_stride(view, k) < within) return k;
    within += (view.shape[k] - 1) * byte_stride(view, k);
  }
  return -1;
}

bool identical(const TensorView& a, const TensorView& b) {
  if (a.data != b.data || a.type != b.type || a.rank != b.rank) return false;
  for (int k = 0; k < a.rank; ++k)
    if (a.shape[k] != b.shape[k] || (k + 1 < a.rank && a.strides[k] != b.strides[k])) return false;
  return true;
}

tl::unexpected<Error> refuse(const CompiledKernel& kernel, const OperandRule& rule,
                             std::string_view what) {
  return fail(ErrorCode::invalid_argument, "{}: operand '{}': {}", kernel.problem.line(), rule.name,
              what);
}

Status check_view(const CompiledKernel& kernel, const OperandRule& rule, const TensorView& view) {
  if (view.rank < 0 || view.rank > TensorView::kMaxRank)
    return refuse(kernel, rule,
                  fmt::format("rank {} is not 0..{}", view.rank, TensorView::kMaxRank));
  if (static_cast<unsigned>(view.type) > static_cast<unsigned>(DataType::q4_K))
    return refuse(kernel, rule,
                  fmt::format("type number {} is unknown", static_cast<int>(view.type)));
  if (element(view) != rule.type) {
    return refuse(
        kernel, rule,
        fmt::format("found type {}, expected {}", ir::name(element(view)), ir::name(rule.type)));
  }
  if (static_cast<size_t>(view.rank) != rule.shape.size()) {
    return refuse(kernel, rule,
                  fmt::format("found shape {}, expected {}", print_shape(view), print_shape(rule)));
  }
  return {};
}

Status bind_shape(const CompiledKernel& kernel, const OperandRule& rule, const TensorView& view,
                  BoundCall& call, std::bitset<BoundCall::kMaxVariables>& bound) {
  for (int k = 0; k < view.rank; ++k) {
    const OperandRule::Dimension& dim = rule.shape[k];
    const int64_t size = view.shape[k];
    bool fits = size >= 0;
    if (dim.symbol.empty()) {
      fits = fits && size == dim.factor;
    } else if (dim.variable >= 0) {
      int64_t& value = call.variables[dim.variable];
      const bool is_plain = dim.factor == 1;  // as nearly all are: no division
      fits = fits && dim.factor > 0 && (is_plain || size % dim.factor == 0);
      const int64_t found = is_plain || !fits ? size : size / dim.factor;
      if (fits && !bound[dim.variable]) {
        value = found;
        bound[dim.variable] = true;
      }
      fits = fits && value == found;
    }
    if (!fits) {
      std::string expected = print_shape(rule);
      if (dim.variable >= 0 && bound[dim.variable])
        expected += fmt::format(" with {} = {}", dim.symbol, call.variables[dim.variable]);
      return refuse(kernel, rule,
                    fmt::format("found shape {}, expected {}", print_shape(view), expected));
    }
    if (size == 0 && rule.output) call.empty = true;
  }
  return {};
}

Status bind_memory(const CompiledKernel& kernel, const OperandRule& rule, const TensorView& view,
                   BoundCall& call) {
  const ir::TypeInfo& info = ir::info(rule.type);
  const bool empty = is_empty(view);
  if (view.data == nullptr && !empty) return refuse(kernel, rule, "the pointer is null");
  const int alignment = info.block_elements == 1 ? info.block_bytes : 1;
  if ((reinterpret_cast<uintptr_t>(view.data) & static_cast<unsigned>(alignment - 1)) != 0)
    return refuse(kernel, rule, fmt::format("the pointer is not aligned to {} bytes", alignment));
  if (view.rank > 0 && view.shape[view.rank - 1] > 1 && view.strides[view.rank - 1] != 1) {
    return refuse(kernel, rule,
                  fmt::format("the last dimension must be contiguous; found stride {}",
                              view.strides[view.rank - 1]));
  }
  if (view.rank > 0 && !info.are_whole_blocks(view.shape[view.rank - 1])) {
    return refuse(kernel, rule,
                  fmt::format("found {} values in a row, not a multiple of the block of {}",
                              view.shape[view.rank - 1], info.block_elements));
  }
  for (int k = 0; k + 1 < view.rank; ++k) {
    const int64_t stride = view.strides[k];
    if (stride < 0 || stride > (int64_t{1} << 48) || !info.are_whole_blocks(stride))
      return refuse(kernel, rule,
                    fmt::format("stride {} of dimension {} is not usable", stride, k));
    if (const int variable = rule.stride_variables[k]; variable >= 0) {
      call.variables[variable] = byte_stride(view, k);
    } else if (view.shape[k] > 1 && stride != view.shape[k + 1] * view.strides[k + 1]) {
      return refuse(kernel, rule,
                    fmt::format("found stride {} of dimension {}, expected {}: it must be dense",
                                stride, k, view.shape[k + 1] * view.strides[k + 1]));
    }
  }
  if (empty) return {};
  if (!is_addressable(view)) {
    return refuse(
        kernel, rule,
        fmt::format("found shape {}, more bytes than there are addresses", print_shape(view)));
  }
  if (rule.output && view.rank > 1) {
    if (const int k = overlapping_dimension(view); k >= 0) {
      return refuse(
          kernel, rule,
          fmt::format("an output's rows overlap: stride {} of dimension {}", view.strides[k], k));
    }
  }
  return {};
}

Status check_overlap(const CompiledKernel& kernel, std::span<const TensorView> operands) {
  for (size_t out = static_cast<size_t>(kernel.inputs); out < operands.size(); ++out) {
    if (is_empty(operands[out])) continue;
    const Extent a = extent(operands[out]);
    for (size_t other = 0; other < out; ++other) {
      if (is_empty(operands[other])) continue;
      const Extent b = extent(operands[other]);
      if (a.end <= b.begin || b.end <= a.begin) continue;
      const bool is_input = other < static_cast<size_t>(kernel.inputs);
      // What is updated holds what is still needed.
      const bool in_place = kernel.plan.in_place && !kernel.operands[out].updated;
      if (is_input && in_place && identical(operands[out], operands[other])) continue;
      if (interleaved(operands[out], operands[other])) continue;
      return refuse(kernel, kernel.operands[out],
                    fmt::format("overlaps operand '{}'; {}", kernel.operands[other].name,
                                in_place ? "only the very same view of an input may be reused"
                                         : "give it memory of its own"));
    }
  }
  return {};
}

int64_t read_index(const TensorView& view, const std::byte* at) {
  if (view.type == DataType::i64) return *reinterpret_cast<const int64_t*>(at);
  return *reinterpret_cast<const int32_t*>(at);
}

// Where each row along the last dimension begins: `visit` with its number and address.
template <typename Visit>
Status over_rows(const TensorView& view, Visit&& visit) {
  int64_t rows = 1;
  for (int k = 0; k + 1 < view.rank; ++k) rows *= view.shape[k];
  for (int64_t row = 0; row < rows; ++row) {
    const auto* at = static_cast<const std::byte*>(view.data);
    int64_t rest = row;
    for (int k = view.rank - 2; k >= 0; --k) {
      at += rest % view.shape[k] * byte_stride(view, k);
      rest /= view.shape[k];
    }
    LATHE_CHECK(visit(row, at));
  }
  return {};
}

int64_t elements_of(const TensorView& view) {
  int64_t elements = 1;
  for (int k = 0; k < view.rank; ++k) elements *= view.shape[k];
  return elements;
}

// How many elements of a row its operand's rule is for, by an operand that was checked before.
class RowCounts {
 public:
  RowCounts(const CompiledKernel& kernel, const OperandRule& rule,
            std::span<const TensorView> operands) {
    if (!rule.elements->row_count) return;
    each_ = rule.elements->row_count->each;
    const auto index = static_cast<size_t>(rule.elements->row_count->operand);
    counts_ = &operands[index];
    name_ = &kernel.operands[index].name;
  }

  /// Whether there is one for each of so many rows.
  bool fits(int64_t rows) const { return counts_ == nullptr || elements_of(*counts_) >= rows; }
  int64_t of(int64_t row, int64_t columns) const {
    if (counts_ == nullptr) return columns;
    const int64_t found = number(row);
    return std::min(columns, found / each_ + (found % each_ > 0 ? 1 : 0));
  }
  /// ", one of the 3 that lengths[1] = 40 asks for"; empty where all count.
  std::string reason(int64_t row, int64_t columns) const {
    if (counts_ == nullptr) return {};
    return fmt::format(", one of the {} that {}[{}] = {} asks for", of(row, columns), *name_, row,
                       number(row));
  }

 private:
  int64_t number(int64_t row) const {
    const auto size = static_cast<int64_t>(counts_->type == DataType::i64 ? 8 : 4);
    return read_index(*counts_, static_cast<const std::byte*>(counts_->data) + row * size);
  }

  const TensorView* counts_ = nullptr;
  const std::string* name_ = nullptr;
  int64_t each_ = 1;
};

Status check_elements(const CompiledKernel& kernel, std::span<const TensorView> operands,
                      size_t operand, const BoundCall& call) {
  const OperandRule& rule = kernel.operands[operand];
  const ir::plan::ElementRule& elements = *rule.elements;
  const TensorView& view = operands[operand];
  if (is_empty(view)) return {};
  const int64_t least = elements.least.evaluate(call.variables.data());
  const int64_t below = elements.below.evaluate(call.variables.data());
  const int64_t width = view.rank == 0 ? 1 : view.shape[view.rank - 1];
  const int size = ir::size_of(rule.type);
  const RowCounts counts(kernel, rule, operands);
  if (!counts.fits(elements_of(view) / width))
    return refuse(kernel, rule, "what counts the elements of its rows has fewer elements");
  return over_rows(view, [&](int64_t row, const std::byte* at) -> Status {
    int64_t floor = least, before = least;
    const int64_t used = counts.of(row, width);
    for (int64_t j = 0; j < used; ++j) {
      const int64_t element = read_index(view, at + j * size);
      if (elements.or_none && element == -1) continue;
      if (element >= floor && element < below) {
        before = element;
        if (elements.ascending) floor = elements.distinct ? element + 1 : element;
        continue;
      }
      const bool is_index = rule.table_variable() >= 0;
      const std::string place =
          elements.row_count ? fmt::format("{}, {}", row, j) : fmt::format("{}", row * width + j);
      const std::string found = fmt::format("found {}{} at [{}]{}", is_index ? "index " : "",
                                            element, place, counts.reason(row, width));
      if (element >= least && element < below) {
        return refuse(kernel, rule,
                      fmt::format("{}, {} the {} before it; expected {}ascending elements", found,
                                  element == before ? "equal to" : "less than", before,
                                  elements.distinct ? "distinct, " : ""));
      }
      return refuse(kernel, rule,
                    is_index && below == 0
                        ? fmt::format("{} into an empty table", found)
                        : fmt::format("{}, expected {}..{}{}", found, least, below - 1,
                                      elements.or_none ? ", or -1" : ""));
    }
    if (!elements.distinct || elements.ascending) return {};
    const auto twice = repeated_element(
        at, used, size, elements.or_none ? std::optional<int64_t>(-1) : std::nullopt);
    if (!twice) return {};
    return refuse(kernel, rule,
                  fmt::format("found {} at [{}], as at [{}]; expected distinct elements",
                              read_index(view, at + twice->second * size),
                              row * width + twice->second, row * width + twice->first));
  });
}

// Of bounds that leave nothing out: how many there are, the first and the last.
Status check_bounds(const CompiledKernel& kernel, const OperandRule& rule, const TensorView& view,
                    const BoundCall& call) {
  const int64_t found = view.rank == 0 ? 1 : view.shape[view.rank - 1];
  if (rule.elements->count) {
    const int64_t count = rule.elements->count->evaluate(call.variables.data());
    if (found != count)
      return refuse(kernel, rule, fmt::format("found {} elements, expected {}", found, count));
  }
  if (!rule.elements->covers) return {};
  const int64_t first = rule.elements->least.evaluate(call.variables.data());
  const int64_t last = rule.elements->below.evaluate(call.variables.data()) - 1;
  if (found == 0) {
    return refuse(kernel, rule,
                  fmt::format("found no elements, expected bounds from {} to {}", first, last));
  }
  const auto* elements = static_cast<const std::byte*>(view.data);
  const auto is = [&](int64_t place, int64_t expected, const char* which) -> Status {
    const int64_t element = read_index(view, elements + place * ir::size_of(rule.type));
    if (element == expected) return {};
    return refuse(kernel, rule,
                  fmt::format("found {} at [{}], expected {} as the {} bound", element, place,
                              expected, which));
  };
  LATHE_CHECK(is(0, first, "first"));
  return is(found - 1, last, "last");
}

Status check_finite(const CompiledKernel& kernel, const OperandRule& rule, const TensorView& view) {
  if (is_empty(view)) return {};
  const int64_t width = view.rank == 0 ? 1 : view.shape[view.rank - 1];
  return over_rows(view, [&](int64_t row, const std::byte* at) -> Status {
    const auto* values = reinterpret_cast<const float*>(at);
    for (int64_t j = 0; j < width; ++j) {
      if (std::isfinite(values[j])) continue;
      return refuse(
          kernel, rule,
          fmt::format("found {} at [{}], expected finite numbers", values[j], row * width + j));
    }
    return {};
  });
}

// Sizes that the family says follow from others are these.
Status check_dependent_sizes(const CompiledKernel& kernel, const BoundCall& call) {
  const auto dependent = kernel.problem.family().dependent_sizes;
  if (dependent == nullptr) return {};
  compiler::Sizes sizes;
  for (int i = 0; i < kernel.plan.inputs; ++i)
    sizes.emplace(kernel.plan.variables[static_cast<size_t>(i)],
                  call.variables[static_cast<size_t>(i)]);
  for (const auto& [name, size] : dependent(kernel.problem, sizes)) {
    const auto found = sizes.find(name);
    if (found == sizes.end() || found->second == size) continue;
    for (const OperandRule& rule : kernel.operands) {
      for (const OperandRule::Dimension& dim : rule.shape)
        if (dim.symbol == name)
          return refuse(kernel, rule,
                        fmt::format("found {} = {}, expected {} as the other sizes have it", name,
                                    found->second, size));
    }
  }
  return {};
}

}  // namespace

int64_t span_bytes(const TensorView& view) { return bytes_below(view, 0); }

Status bind_call(const CompiledKernel& kernel, std::span<const TensorView> operands, int threads,
                 BoundCall& call) {
  if (operands.size() != kernel.operands.size()) {
    return fail(ErrorCode::invalid_argument, "{}: found {} operands, expected {} ({} in, {} out)",
                kernel.problem.line(), operands.size(), kernel.operands.size(), kernel.inputs,
                kernel.operands.size() - static_cast<size_t>(kernel.inputs));
  }
  if (operands.size() > BoundCall::kMaxOperands ||
      kernel.plan.variables.size() > BoundCall::kMaxVariables) {
    return fail(ErrorCode::internal,
                "{}: {} operands and {} variables exceed the launcher's limits",
                kernel.problem.line(), operands.size(), kernel.plan.variables.size());
  }
  call.empty = false;
  std::fill_n(call.variables.begin(), kernel.plan.inputs, 0);
  std::bitset<BoundCall::kMaxVariables> bound;
  for (size_t i = 0; i < operands.size(); ++i) {
    LATHE_CHECK(check_view(kernel, kernel.operands[i], operands[i]));
    LATHE_CHECK(bind_shape(kernel, kernel.operands[i], operands[i], call, bound));
  }
  for (size_t i = 0; i < operands.size(); ++i) {
    LATHE_CHECK(bind_memory(kernel, kernel.operands[i], operands[i], call));
    call.pointers[i] = static_cast<std::byte*>(operands[i].data);
  }
  LATHE_CHECK(check_dependent_sizes(kernel, call));
  LATHE_CHECK(check_overlap(kernel, operands));
  for (size_t i = 0; i < operands.size(); ++i) {
    const OperandRule& rule = kernel.operands[i];
    if (rule.elements) {
      LATHE_CHECK(check_elements(kernel, operands, i, call));
      LATHE_CHECK(check_bounds(kernel, rule, operands[i], call));
    }
    if (rule.finite) LATHE_CHECK(check_finite(kernel, rule, operands[i]));
  }
  if (kernel.threads_variable >= 0) call.variables[kernel.threads_variable] = threads;
  return {};
}

}  // namespace lathe::runtime

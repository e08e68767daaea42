// Packing a weight into memory of its own.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "compiler/family.h"
#include "runtime/weights/packed_weight.h"
#include "support/large_memory.h"

namespace lathe::runtime {
namespace {

constexpr int64_t kAlignment = 64;
constexpr auto kLastType = static_cast<unsigned>(DataType::q4_K);
int64_t rounded_up(int64_t bytes, int64_t to) { return (bytes + to - 1) / to * to; }

// Not touched yet: the threads that pack a part of it place it in their own memory.
Result<std::shared_ptr<void>> allocate(int64_t bytes) {
  std::shared_ptr<void> memory = support::share_large(static_cast<size_t>(bytes));
  if (!memory) {
    return fail(ErrorCode::resource_exhausted,
                "packing a weight: no memory for {} bytes; release other weights, or map a saved "
                "one",
                bytes);
  }
  return memory;
}

tl::unexpected<Error> refuse(std::string_view what) {
  return fail(ErrorCode::invalid_argument, "packing a weight: {}", what);
}

// The scales of an i8 weight, which has some exactly where it is given in codes.
Status check_scales(const TensorView& weight, const PackOptions& options) {
  const TensorView& scales = options.scales;
  if (weight.type != DataType::i8) {
    if (scales.data == nullptr) return {};
    return refuse(fmt::format("found scales beside a weight of type {}, expected them beside i8",
                              ir::name(static_cast<ir::Type>(weight.type))));
  }
  if (scales.data == nullptr) {
    return refuse(
        fmt::format("found type i8 without scales, expected scales f32 [{}], one for each row; or "
                    "give the weight in f32, f16 or bf16 to have it quantised",
                    weight.shape[0]));
  }
  if (scales.type != DataType::f32 || scales.rank != 1 || scales.shape[0] != weight.shape[0] ||
      (scales.shape[0] > 1 && scales.strides[0] != 1)) {
    return refuse(
        fmt::format("scales: found {} of rank {} with {} elements, expected contiguous "
                    "f32 [{}], one for each row of the weight",
                    static_cast<unsigned>(scales.type) <= kLastType
                        ? ir::name(static_cast<ir::Type>(scales.type))
                        : "an unknown type",
                    scales.rank, scales.rank > 0 ? scales.shape[0] : 0, weight.shape[0]));
  }
  if (reinterpret_cast<uintptr_t>(scales.data) % alignof(float) != 0)
    return refuse("scales: the pointer is not aligned to 4 bytes");
  return {};
}

// The type that the weight is packed in.
Result<ir::Type> packed_type(const TensorView& weight, const PackOptions& options) {
  const auto given = static_cast<ir::Type>(weight.type);
  if (!options.as || *options.as == weight.type) return given;
  const bool plain_float = ir::info(given).is_float && ir::info(given).block_elements == 1;
  if (*options.as == DataType::i8 && plain_float) return ir::Type::i8;
  return refuse(fmt::format(
      "as: found {} for a weight of {}, expected its own type, or i8 for f32, "
      "f16 or bf16",
      static_cast<unsigned>(*options.as) <= kLastType ? ir::name(static_cast<ir::Type>(*options.as))
                                                      : "an unknown type",
      ir::name(given)));
}

Status check_view(const TensorView& weight, bool pair) {
  const char* expected = pair ? "[2n, k] of a pair" : "[n, k]";
  if (static_cast<unsigned>(weight.type) > kLastType)
    return refuse(fmt::format("type number {} is unknown", static_cast<int>(weight.type)));
  if (weight.rank != 2)
    return refuse(fmt::format("found rank {}, expected a matrix {}", weight.rank, expected));
  const auto [rows, k] = std::pair{weight.shape[0], weight.shape[1]};
  if (rows < 1 || k < 1 || (pair && rows % 2 != 0))
    return refuse(fmt::format("found shape [{}, {}], expected {}", rows, k, expected));
  if (weight.data == nullptr) return refuse("the pointer is null");
  const ir::TypeInfo& info = ir::info(static_cast<ir::Type>(weight.type));
  if (!info.are_whole_blocks(k) || !info.are_whole_blocks(weight.strides[0])) {
    return refuse(fmt::format("found rows of {} values {} apart, expected multiples of {}'s {}", k,
                              weight.strides[0], info.name, info.block_elements));
  }
  if (k > 1 && weight.strides[1] != 1) {
    return refuse(
        fmt::format("found stride {} of the last dimension, expected 1: rows must be "
                    "contiguous",
                    weight.strides[1]));
  }
  // Rows are read element by element: their addresses must be those of elements.
  const auto alignment = static_cast<uintptr_t>(info.block_elements == 1 ? info.block_bytes : 1);
  if (reinterpret_cast<uintptr_t>(weight.data) % alignment != 0)
    return refuse(fmt::format("the pointer is not aligned to {} bytes", alignment));
  if (rows > 1 && (weight.strides[0] < k || weight.strides[0] > (int64_t{1} << 48))) {
    return refuse(fmt::format("rows overlap: found stride {} between rows of {} values",
                              weight.strides[0], k));
  }
  return {};
}

}  // namespace

namespace {

// Copies rows first … last-1 of a source to `to`, one after the other. Elements of a transposed one
// are of `element_bytes`.
void gather_rows(const WeightRows& source, int64_t first, int64_t last, int64_t row_bytes,
                 int64_t element_bytes, std::byte* to) {
  for (int64_t row = first; row < last; ++row, to += row_bytes) {
    if (!source.transposed) {
      std::memcpy(to, source.data + row * source.row_bytes, static_cast<size_t>(row_bytes));
      continue;
    }
    const std::byte* from = source.data + row * element_bytes;
    for (int64_t at = 0; at < row_bytes; at += element_bytes, from += source.row_bytes)
      std::memcpy(to + at, from, static_cast<size_t>(element_bytes));
  }
}

}  // namespace

Status pack_parts(const compiler::WeightLayout& layout, std::span<const WeightRows> sources,
                  const std::vector<std::byte*>& parts, ThreadPool& pool) {
  std::vector<Status> failures(static_cast<size_t>(pool.threads()));
  const auto first_failure = [&]() -> Status {
    for (const Status& status : failures) LATHE_CHECK(status);
    return {};
  };
  if (sources.size() == 1 && !sources[0].transposed) {
    pool.parallel_for(layout.panels(), [&](int64_t panel, int worker) {
      Status& status = failures[static_cast<size_t>(worker)];
      if (status) status = compiler::pack_panels(layout, sources[0], panel, panel + 1, parts);
    });
    return first_failure();
  }
  // Each panel as a weight of its own, whose rows are gathered first.
  const std::vector<compiler::PackedPart> shapes = compiler::packed_parts(layout);
  const ir::TypeInfo& info = ir::info(layout.type);
  const int64_t row_bytes = ir::bytes_of(layout.type, layout.k);
  const int64_t step = layout.rows_per_panel();
  std::vector<std::vector<std::byte>> scratch(static_cast<size_t>(pool.threads()));
  pool.parallel_for(layout.panels(), [&](int64_t panel, int worker) {
    auto& rows = scratch[static_cast<size_t>(worker)];
    rows.resize(static_cast<size_t>(layout.panel * row_bytes));
    compiler::WeightLayout alone = layout;
    alone.n = std::min(step, layout.n - panel * step);
    std::byte* to = rows.data();
    for (int half = 0; half < (layout.pair ? 2 : 1); ++half, to += alone.n * row_bytes) {
      const bool divided = sources.size() > 1;
      const int64_t first = panel * step + (layout.pair && !divided ? half * layout.n : 0);
      gather_rows(sources[divided ? static_cast<size_t>(half) : 0], first, first + alone.n,
                  row_bytes, info.block_bytes, to);
    }
    std::vector<std::byte*> places;
    for (size_t i = 0; i < parts.size(); ++i) {
      int64_t elements = 1;
      for (size_t d = 1; d < shapes[i].shape.size(); ++d) elements *= shapes[i].shape[d];
      places.push_back(parts[i] + panel * ir::bytes_of(shapes[i].type, elements));
    }
    Status& status = failures[static_cast<size_t>(worker)];
    if (status) status = compiler::pack_panels(alone, {rows.data(), row_bytes}, 0, 1, places);
  });
  return first_failure();
}

Result<BlockPlan> plan_block(const compiler::WeightLayout& layout) {
  // The family says which layouts there are.
  LATHE_TRY(const compiler::Family* family, compiler::find_family("linear"));
  compiler::ProblemBuilder builder(*family);
  builder.set("rows", compiler::bucket_of(1)).set("n", layout.n).set("k", layout.k);
  builder.set("weight", layout.type).set("panel", layout.panel).set("pair", layout.pair);
  builder.set_text("epilogue", layout.pair ? "add(y,z)" : "y");
  LATHE_CHECK(builder.build());
  BlockPlan plan;
  for (compiler::PackedPart& part : compiler::packed_parts(layout)) {
    int64_t elements = 1;
    for (const int64_t size : part.shape) elements *= size;
    const int64_t bytes = ir::bytes_of(part.type, elements);
    plan.places.push_back({std::move(part), plan.bytes, bytes});
    plan.bytes = rounded_up(plan.bytes + bytes, kAlignment);
  }
  return plan;
}

void set_parts(PackedWeightData& data, const BlockPlan& plan) {
  data.name = compiler::print(data.layout);
  data.parameters = compiler::layout_parameters(data.layout);
  data.bytes = plan.bytes;
  for (const PartPlace& place : plan.places) {
    data.parts.emplace_back(const_cast<std::byte*>(data.block) + place.offset,
                            static_cast<DataType>(place.part.type), place.part.shape.data(),
                            static_cast<int>(place.part.shape.size()));
  }
}

Result<std::shared_ptr<const PackedWeightData>> pack_weight(const TensorView& weight,
                                                            const PackOptions& options,
                                                            const compiler::LayoutRule& layouts,
                                                            ThreadPool& pool) {
  LATHE_CHECK(check_view(weight, options.pair));
  LATHE_CHECK(check_scales(weight, options));
  LATHE_TRY(const ir::Type type, packed_type(weight, options));
  auto data = std::make_shared<PackedWeightData>();
  data->layout =
      layouts(type, weight.shape[0] / (options.pair ? 2 : 1), weight.shape[1], options.pair);
  if (options.panel != 0) data->layout.panel = options.panel;
  auto plan = plan_block(data->layout);
  if (!plan) return fail_with_context("packing a weight", plan.error());
  LATHE_TRY(data->memory, allocate(plan->bytes));
  auto* block = static_cast<std::byte*>(data->memory.get());
  data->block = block;
  set_parts(*data, *plan);
  std::vector<std::byte*> parts;
  for (const PartPlace& place : plan->places) {
    parts.push_back(block + place.offset);
    const int64_t end = place.offset + place.bytes;
    std::memset(block + end, 0, static_cast<size_t>(rounded_up(end, kAlignment) - end));
  }
  const auto given = static_cast<ir::Type>(weight.type);
  const ir::TypeInfo& info = ir::info(given);
  const int64_t row_bytes = info.blocks(weight.strides[0]) * info.block_bytes;
  const WeightRows rows = {static_cast<const std::byte*>(weight.data), row_bytes, false, given,
                           static_cast<const float*>(options.scales.data)};
  LATHE_CHECK(pack_parts(data->layout, std::span(&rows, 1), parts, pool));
  return data;
}

Status check_fits(const PackedWeightData& weight, const compiler::Problem& problem) {
  if (problem.family().name != "linear") {
    return fail(ErrorCode::mismatch, "{}: takes no packed weight, found one of {}", problem.line(),
                weight.name);
  }
  const std::string expected = compiler::print(compiler::layout_of(problem));
  if (expected != weight.name) {
    return fail(ErrorCode::mismatch,
                "{}: found a weight packed as {}, expected {}; fetch the kernel that the weight's "
                "linear() names, or pack it again",
                problem.line(), weight.name, expected);
  }
  return {};
}

}  // namespace lathe::runtime

// Packing of weights: the order of elements, once for packing and once as a graph.
#include "compiler/weight_packing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "ir/half.h"
#include "ir/row_codes.h"

namespace lathe::compiler {
namespace {

// The row of w that column `column` of panel `panel` holds, or -1 where there is none.
int64_t row_of(const WeightLayout& layout, int64_t panel, int64_t column) {
  const int64_t half = layout.rows_per_panel();
  const int64_t row = panel * half + column % half;
  if (row >= layout.n) return -1;
  return column < half ? row : layout.n + row;
}

template <typename T>
void pack_floats(const WeightLayout& layout, const WeightRows& rows, int64_t panel, T* packed) {
  // Blocks of k that keep the panel's part in the first cache.
  constexpr int64_t kBlock = 64;
  for (int64_t start = 0; start < layout.k; start += kBlock) {
    const int64_t end = std::min(start + kBlock, layout.k);
    for (int64_t column = 0; column < layout.panel; ++column) {
      const int64_t row = row_of(layout, panel, column);
      T* to = packed + start * layout.panel + column;
      const std::byte* from = rows.data + (row < 0 ? 0 : row * rows.row_bytes);
      for (int64_t j = start; j < end; ++j, to += layout.panel) {
        T value{};
        if (row >= 0) std::memcpy(&value, from + j * static_cast<int64_t>(sizeof(T)), sizeof(T));
        *to = value;
      }
    }
  }
}

using ir::Type;

constexpr int64_t kBlock = 32;        // elements that share a scale; a sub-block of q4_K
constexpr int64_t kSuperBlock = 256;  // elements of a block of q4_K
constexpr int64_t kSubBlocks = kSuperBlock / kBlock;

bool is_quantised(const WeightLayout& layout) { return ir::info(layout.type).block_elements > 1; }

// A sum of k products of codes, each at most 128 · 127, must stay below 2^31.
constexpr int64_t kMostInt8 = (int64_t{1} << 31) / (128 * 127);

// Where a block's scales end and its codes begin.
int64_t codes_offset(Type type) { return type == Type::q4_K ? 16 : 2; }

// Bytes of one column's codes for one group of four k.
constexpr int64_t kGroup = 4;

/// One panel's storage.
struct PanelParts {
  std::byte* codes;
  std::byte* scales;
  std::byte* factors;
};

// 16 bytes whose low nibbles are the codes of elements 0 … 15 and whose high ones are those of
// 16 … 31, of one block (q4_0) or sub-block `part` (q4_K).
std::array<uint8_t, 16> nibbles_of(Type type, const std::byte* codes, int64_t part) {
  std::array<uint8_t, 16> packed{};
  for (size_t i = 0; i < 16; ++i) {
    if (type == Type::q4_0) {
      packed[i] = static_cast<uint8_t>(codes[i]);
      continue;
    }
    const std::byte* bytes = codes + part / 2 * kBlock;
    const int shift = part % 2 == 0 ? 0 : 4;
    const auto low = static_cast<uint8_t>(bytes[i] >> shift) & 15U;
    const auto high = static_cast<uint8_t>(bytes[16 + i] >> shift) & 15U;
    packed[i] = static_cast<uint8_t>(low | high << 4);
  }
  return packed;
}

// One GGUF block of one column.
void pack_block(const WeightLayout& layout, const std::byte* block, int64_t index, int64_t column,
                const PanelParts& to) {
  const int64_t panel = layout.panel;
  const bool nested = layout.type == Type::q4_K;
  const int64_t scales = nested ? 2 : 1;
  for (int64_t i = 0; i < scales; ++i)
    std::memcpy(to.scales + ((index * scales + i) * panel + column) * 2, block + 2 * i, 2);
  for (int64_t i = 0; nested && i < 3; ++i)
    std::memcpy(to.factors + ((index * 3 + i) * panel + column) * 4, block + 4 + 4 * i, 4);
  const std::byte* codes = block + codes_offset(layout.type);
  for (int64_t part = 0; part < (nested ? kSubBlocks : 1); ++part) {
    const int64_t at = nested ? index * kSubBlocks + part : index;
    const bool bytes = layout.type == Type::q8_0;
    const std::array<uint8_t, 16> nibbles =
        bytes ? std::array<uint8_t, 16>{} : nibbles_of(layout.type, codes, part);
    const void* from = bytes ? static_cast<const void*>(codes) : nibbles.data();
    const int64_t groups = bytes ? 8 : 4;
    for (int64_t group = 0; group < groups; ++group)
      std::memcpy(to.codes + ((at * groups + group) * panel + column) * kGroup,
                  static_cast<const std::byte*>(from) + group * kGroup, kGroup);
  }
}

Status check_codes(const std::byte* block, int64_t row, int64_t index) {
  for (int64_t i = 0; i < kBlock; ++i) {
    if (block[codes_offset(Type::q8_0) + i] != std::byte{0x80}) continue;
    return fail(ErrorCode::invalid_argument,
                "weight row {}, element {}: found the q8_0 code -128, expected -127 … 127", row,
                index * kBlock + i);
  }
  return {};
}

Status pack_blocks(const WeightLayout& layout, const WeightRows& rows, int64_t panel,
                   const PanelParts& to) {
  const int64_t blocks = layout.k / ir::info(layout.type).block_elements;
  const int64_t bytes = ir::info(layout.type).block_bytes;
  const std::array<std::byte, 144> none{};
  for (int64_t column = 0; column < layout.panel; ++column) {
    const int64_t row = row_of(layout, panel, column);
    for (int64_t index = 0; index < blocks; ++index) {
      const std::byte* block =
          row < 0 ? none.data() : rows.data + row * rows.row_bytes + index * bytes;
      if (layout.type == Type::q8_0) LATHE_CHECK(check_codes(block, row, index));
      pack_block(layout, block, index, column, to);
    }
  }
  return {};
}

// One column of an i8 weight.
void pack_codes(const WeightLayout& layout, const int8_t* codes, int64_t column, std::byte* to) {
  for (int64_t at = 0; at < int8_padded(layout.k); at += kGroup) {
    std::array<int8_t, kGroup> group{};
    for (int64_t i = 0; i < kGroup && at + i < layout.k; ++i)
      group[static_cast<size_t>(i)] = codes[at + i];
    std::memcpy(to + (at / kGroup * layout.panel + column) * kGroup, group.data(), kGroup);
  }
}

// A row of floats, as f32.
void read_row(const WeightRows& rows, int64_t row, std::vector<float>& values) {
  const std::byte* from = rows.data + row * rows.row_bytes;
  if (rows.type == Type::f32) {
    std::memcpy(values.data(), from, values.size() * sizeof(float));
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, from + i * sizeof(bits), sizeof(bits));
    values[i] = rows.type == Type::f16 ? ir::f16_to_float(bits) : ir::bf16_to_float(bits);
  }
}

Status pack_channels(const WeightLayout& layout, const WeightRows& rows, int64_t panel,
                     const PanelParts& to) {
  std::vector<float> values(rows.type == Type::i8 ? 0 : static_cast<size_t>(layout.k));
  std::vector<int8_t> codes(static_cast<size_t>(layout.k));
  for (int64_t column = 0; column < layout.panel; ++column) {
    const int64_t row = row_of(layout, panel, column);
    float scale = 0;
    if (row < 0) {
      std::fill(codes.begin(), codes.end(), int8_t{0});
    } else if (rows.type == Type::i8) {
      std::memcpy(codes.data(), rows.data + row * rows.row_bytes, codes.size());
      scale = rows.scales[row];
    } else {
      read_row(rows, row, values);
      scale = ir::quantize_row(values, codes.data());
    }
    if (!std::isfinite(scale)) {
      return fail(
          ErrorCode::invalid_argument, "weight row {}: found {}, expected finite {}", row,
          rows.type == Type::i8 ? "the scale " + std::to_string(scale) : "a NaN or an infinity",
          rows.type == Type::i8 ? "scales" : "values");
    }
    pack_codes(layout, codes.data(), column, to.codes);
    std::memcpy(to.scales + column * static_cast<int64_t>(sizeof(scale)), &scale, sizeof(scale));
  }
  return {};
}

class Unpacking {
  using Var = ir::graph::Var;

 public:
  Unpacking(ir::graph::GraphBuilder& graph, const WeightLayout& layout)
      : graph_(graph), layout_(layout) {}

  // The values as [panels, k, panel].
  Var values(const std::vector<Var>& parts) {
    if (layout_.type == Type::i8) return of_channels(parts);
    if (!is_quantised(layout_)) return cast(parts[0], Type::f32);
    const Var codes = cast(codes_of(parts[0]), Type::f32);  // [panels, k/32, 32, panel]
    Var scales, minima;
    if (layout_.type == Type::q4_K) {
      scales = of_sub_blocks(parts, 0);
      minima = of_sub_blocks(parts, 1);
    } else {
      scales = cast(parts[1], Type::f32);
    }
    const auto each = [&](Var factor) {
      return reshape(factor, {layout_.panels(), layout_.k / kBlock, 1, layout_.panel});
    };
    Var centred = codes;
    if (layout_.type == Type::q4_0) {
      const Var eight = graph_.constant(8);
      centred = graph_.op("sub", {codes, eight});
    }
    const Var scaled_by = each(scales);
    Var value = graph_.op("mul", {centred, scaled_by});
    if (layout_.type == Type::q4_K) {
      const Var less = each(minima);
      value = graph_.op("sub", {value, less});
    }
    return reshape(value, {layout_.panels(), layout_.k, layout_.panel});
  }

  // [panels, k, panel] as [n, k].
  Var rows(Var w) {
    const int64_t half = layout_.rows_per_panel();
    // [panels, k, halves, half] -> [halves, panels, half, k] -> [halves, panels * half, k]
    const int64_t halves = layout_.panel / half;
    w = reshape(w, {layout_.panels(), layout_.k, halves, half});
    w = transpose(w, {2, 0, 3, 1});
    w = reshape(w, {halves, layout_.panels() * half, layout_.k});
    w = graph_.op("slice", {w}, {{"axis", 1}, {"end", layout_.n}});
    return reshape(w, {halves * layout_.n, layout_.k});
  }

 private:
  Var cast(Var x, Type type) { return graph_.op("cast", {x}, {{"type", type}}); }
  Var reshape(Var x, ir::graph::Shape shape) {
    return graph_.op("reshape", {x}, {{"shape", std::move(shape)}});
  }
  Var transpose(Var x, std::vector<int64_t> order) {
    return graph_.op("transpose", {x}, {{"perm", std::move(order)}});
  }
  Var integer(int64_t value) { return graph_.constant(static_cast<double>(value), Type::i64); }
  // Bits `low` … `low` + `count` - 1 of integers that are not negative.
  Var bits(Var x, int low, int count) {
    const Var divisor = integer(int64_t{1} << low);
    const Var shifted = graph_.op("div", {x, divisor});
    const Var range = integer(int64_t{1} << count);
    const Var above = graph_.op("div", {shifted, range});
    const Var rest = graph_.op("mul", {above, range});
    return graph_.op("sub", {shifted, rest});
  }

  // Codes [panels, k/4, panel, 4] times scales [panels, panel].
  Var of_channels(const std::vector<Var>& parts) {
    Var codes = transpose(cast(parts[0], Type::f32), {0, 1, 3, 2});
    codes = reshape(codes, {layout_.panels(), int8_padded(layout_.k), layout_.panel});
    codes = graph_.op("slice", {codes}, {{"axis", 1}, {"end", layout_.k}});
    const Var scales = reshape(parts[1], {layout_.panels(), 1, layout_.panel});
    return graph_.op("mul", {codes, scales});
  }

  // [panels, k/32, groups, panel, 4] as [panels, k/32, 32, panel].
  Var codes_of(Var codes) {
    const int64_t blocks = layout_.k / kBlock;
    Var integers = transpose(cast(codes, Type::i64), {0, 1, 2, 4, 3});
    if (layout_.type != Type::q8_0) {
      integers = reshape(integers, {layout_.panels(), blocks, 16, layout_.panel});
      const Var low = bits(integers, 0, 4);
      const Var high = bits(integers, 4, 4);
      return graph_.op("concat", {low, high}, {{"axis", 2}});
    }
    return reshape(integers, {layout_.panels(), blocks, kBlock, layout_.panel});
  }

  // d · scale (`which` 0) or dmin · minimum (1) of each sub-block: [panels, k/32, panel].
  Var of_sub_blocks(const std::vector<Var>& parts, int64_t which) {
    const auto at = [&](Var x, int64_t index) {
      return graph_.op("slice", {x}, {{"axis", 2}, {"begin", index}, {"end", index + 1}});
    };
    const Var words = cast(parts[2], Type::i64);
    const Var own = at(words, which);
    const Var shared = at(words, 2);
    std::vector<Var> factors;
    for (int i = 0; i < 4; ++i) factors.push_back(bits(own, 8 * i, 6));
    for (int i = 0; i < 4; ++i) {
      const Var low = bits(shared, 8 * i + (which == 0 ? 0 : 4), 4);
      const Var high = bits(own, 8 * i + 6, 2);
      const Var sixteen = integer(16);
      const Var raised = graph_.op("mul", {high, sixteen});
      factors.push_back(graph_.op("add", {low, raised}));
    }
    const Var six_bits = cast(graph_.op("concat", factors, {{"axis", 2}}), Type::f32);
    const Var scale = at(cast(parts[1], Type::f32), which);
    const Var product = graph_.op("mul", {six_bits, scale});
    return reshape(product, {layout_.panels(), layout_.k / kBlock, layout_.panel});
  }

  ir::graph::GraphBuilder& graph_;
  const WeightLayout& layout_;
};

}  // namespace

std::vector<PackedPart> packed_parts(const WeightLayout& layout) {
  const int64_t panels = layout.panels(), k = layout.k, panel = layout.panel;
  if (layout.type == Type::i8) {
    return {{"w", Type::i8, {panels, int8_padded(k) / kGroup, panel, kGroup}},
            {"w_scales", Type::f32, {panels, panel}}};
  }
  if (!is_quantised(layout)) return {{"w", layout.type, {panels, k, panel}}};
  const bool bytes = layout.type == Type::q8_0;
  std::vector<PackedPart> parts = {
      {"w", bytes ? Type::i8 : Type::u8, {panels, k / kBlock, bytes ? 8 : 4, panel, kGroup}}};
  if (layout.type == Type::q4_K) {
    parts.push_back({"w_scales", Type::f16, {panels, k / kSuperBlock, 2, panel}});
    parts.push_back({"w_factors", Type::u32, {panels, k / kSuperBlock, 3, panel}});
  } else {
    parts.push_back({"w_scales", Type::f16, {panels, k / kBlock, panel}});
  }
  return parts;
}

Status check_layout(const WeightLayout& layout) {
  const int block = ir::info(layout.type).block_elements;
  if (layout.type == Type::i8 && layout.k > kMostInt8) {
    return fail(ErrorCode::invalid_argument,
                "k: found {}, expected at most {}, so that a sum of products of 8-bit codes stays "
                "in 32 bits",
                layout.k, kMostInt8);
  }
  if (layout.k % block == 0) return {};
  return fail(ErrorCode::invalid_argument, "k: found {}, expected a multiple of {}'s block of {}",
              layout.k, ir::name(layout.type), block);
}

ir::graph::Var unpacked(ir::graph::GraphBuilder& graph, const WeightLayout& layout,
                        const std::vector<ir::graph::Var>& parts) {
  Unpacking unpacking(graph, layout);
  return unpacking.rows(unpacking.values(parts));
}

Status pack_panels(const WeightLayout& layout, const WeightRows& rows, int64_t first, int64_t last,
                   const std::vector<std::byte*>& parts) {
  const std::vector<PackedPart> described = packed_parts(layout);
  const auto part_of = [&](size_t part, int64_t panel) -> std::byte* {
    if (part >= described.size()) return nullptr;
    int64_t elements = 1;
    for (size_t i = 1; i < described[part].shape.size(); ++i) elements *= described[part].shape[i];
    return parts[part] + panel * ir::bytes_of(described[part].type, elements);
  };
  for (int64_t panel = first; panel < last; ++panel) {
    const PanelParts to{part_of(0, panel), part_of(1, panel), part_of(2, panel)};
    if (layout.type == Type::i8) {
      LATHE_CHECK(pack_channels(layout, rows, panel, to));
    } else if (is_quantised(layout)) {
      LATHE_CHECK(pack_blocks(layout, rows, panel, to));
    } else if (layout.type == Type::f32) {
      pack_floats(layout, rows, panel, reinterpret_cast<float*>(to.codes));
    } else {
      pack_floats(layout, rows, panel, reinterpret_cast<uint16_t*>(to.codes));
    }
  }
  return {};
}

}  // namespace lathe::compiler

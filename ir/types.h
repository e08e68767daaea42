// Element types of tensors and buffers, and their sizes.
#pragma once

#include <cstdint>
#include <string_view>

#include "support/error.h"

namespace lathe::ir {

/// What one element of a tensor is. Block-quantised types are laid out as in GGUF: `block_elements`
/// values share one block of `block_bytes` bytes.
enum class Type : uint8_t {
  f32,
  f16,
  bf16,
  boolean,
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  q8_0,
  q4_0,
  q4_K,
};

struct TypeInfo {
  std::string_view name;  ///< as in .lir text and problem lines: "f32", "q4_K", "bool"
  int block_elements;     ///< 1 except for the block-quantised types
  int block_bytes;        ///< bytes of one block
  bool is_float;
  bool is_signed;

  /// Of `values` that are whole blocks: how many. No division where a value is a block.
  int64_t blocks(int64_t values) const {
    return block_elements == 1 ? values : values / block_elements;
  }
  bool are_whole_blocks(int64_t values) const {
    return block_elements == 1 || values % block_elements == 0;
  }
};

const TypeInfo& info(Type type);
inline std::string_view name(Type type) { return info(type).name; }

/// Bytes of one element; an internal error (assertion) for block-quantised types.
int size_of(Type type);

/// Bytes of `count` contiguous elements; count must be a multiple of block_elements.
int64_t bytes_of(Type type, int64_t count);

/// not_found naming the known types when `text` is none of them.
Result<Type> parse_type(std::string_view text);

}  // namespace lathe::ir

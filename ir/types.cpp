// The table of element types.
#include "ir/types.h"

#include <array>
#include <cassert>
#include <string>

namespace lathe::ir {
namespace {

constexpr std::array<TypeInfo, 15> kTypes = {{
    {"f32", 1, 4, true, true},
    {"f16", 1, 2, true, true},
    {"bf16", 1, 2, true, true},
    {"bool", 1, 1, false, false},
    {"i8", 1, 1, false, true},
    {"u8", 1, 1, false, false},
    {"i16", 1, 2, false, true},
    {"u16", 1, 2, false, false},
    {"i32", 1, 4, false, true},
    {"u32", 1, 4, false, false},
    {"i64", 1, 8, false, true},
    {"u64", 1, 8, false, false},
    {"q8_0", 32, 34, true, true},
    {"q4_0", 32, 18, true, true},
    {"q4_K", 256, 144, true, true},
}};

}  // namespace

const TypeInfo& info(Type type) { return kTypes[static_cast<size_t>(type)]; }

int size_of(Type type) {
  assert(info(type).block_elements == 1 && "a block-quantised type has no element size");
  return info(type).block_bytes;
}

int64_t bytes_of(Type type, int64_t count) {
  assert(info(type).are_whole_blocks(count) && "a partial block has no size");
  return info(type).blocks(count) * info(type).block_bytes;
}

Result<Type> parse_type(std::string_view text) {
  std::string known;
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].name == text) return static_cast<Type>(i);
    known += (i == 0 ? "" : ", ") + std::string(kTypes[i].name);
  }
  return fail(ErrorCode::not_found, "unknown type '{}'; expected one of {}", text, known);
}

}  // namespace lathe::ir

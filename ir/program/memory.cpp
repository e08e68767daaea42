// The slow paths of checked memory: messages, and the elements of a buffer with a declared range.
#include "ir/program/memory.h"

#include <cstring>

namespace lathe::ir::program {
namespace {

int64_t element(Type type, const std::byte* from) {
  const auto as = [&]<typename T>(T value) {
    std::memcpy(&value, from, sizeof(T));
    return static_cast<int64_t>(value);
  };
  switch (type) {
    case Type::i8: return as(int8_t{});
    case Type::u8: return as(uint8_t{});
    case Type::i16: return as(int16_t{});
    case Type::u16: return as(uint16_t{});
    case Type::i32: return as(int32_t{});
    case Type::u32: return as(uint32_t{});
    default: return as(int64_t{});
  }
}

}  // namespace

std::byte* Memory::outside(const char* verb, const Code& code, int64_t offset, int64_t bytes) {
  const auto index = static_cast<size_t>(code.buffer);
  error_ = fmt::format("{} {} bytes at offset {} of buffer '{}', which has {} bytes", verb, bytes,
                       offset, program_.buffers[index].name, views_[index].bytes);
  return nullptr;
}

bool Memory::in_range(const Code& code, int64_t offset, int64_t bytes) {
  const auto index = static_cast<size_t>(code.buffer);
  const Buffer& buffer = program_.buffers[index];
  const BufferView& view = views_[index];
  const int64_t size = info(buffer.type).block_bytes;
  if ((offset - view.start) % size != 0 || bytes % size != 0) {
    error_ = fmt::format(
        "reads {} bytes at offset {} of buffer '{}': not whole {} elements, so that its declared "
        "range does not hold for them",
        bytes, offset, buffer.name, ir::name(buffer.type));
    return false;
  }
  for (int64_t at = offset; at < offset + bytes; at += size) {
    const int64_t value = element(buffer.type, view.data + at);
    if (value >= buffer.range->first && value <= buffer.range->second) continue;
    error_ = fmt::format("reads {} at offset {} of buffer '{}', whose declared range is {} … {}",
                         value, at, buffer.name, buffer.range->first, buffer.range->second);
    return false;
  }
  return true;
}

}  // namespace lathe::ir::program

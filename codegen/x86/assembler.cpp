// The moves and 128-bit helpers in the form each target has, and the constant pool.
#include "codegen/x86/assembler.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace lathe::codegen::x86 {

Assembler::Assembler(const ir::Target& target)
    : Xbyak::CodeGenerator(Xbyak::DEFAULT_MAX_CODE_SIZE, Xbyak::AutoGrow, &memory()),
      target_(target) {}

PlainMemory& Assembler::memory() {
  static PlainMemory plain;  // without state, so shared by all threads
  return plain;
}

Xmm Assembler::vector(int index) const {
  switch (target_.isa) {
    case ir::Isa::avx2: return Ymm(index);
    case ir::Isa::avx512: return Zmm(index);
    default: return Xmm(index);
  }
}

void Assembler::copy(const Xmm& dst, const Xmm& src) {
  if (dst.getIdx() == src.getIdx()) return;
  if (is_sse()) return movaps(dst, src);
  need(dst.isZMM() ? IsaMask(Isa::avx512f) : IsaMask(Isa::avx));
  vmovaps(dst, src);
}

// Writing the low 128 bits by a VEX or EVEX instruction clears the rest.
void Assembler::zero(const Xmm& dst) {
  const Xmm low = low128(dst);
  if (is_sse()) return xorps(low, low);
  need_avx(low);
  if (low.getIdx() < 16) return vxorps(low, low, low);
  vpxord(low, low, low);
}

void Assembler::ones(const Xmm& dst) {
  if (is_sse()) return pcmpeqd(dst, dst);
  if (is_avx512()) {
    need(Isa::avx512f);
    return vpternlogd(dst, dst, dst, 0xFF);
  }
  need(Isa::avx2);
  vpcmpeqd(dst, dst, dst);
}

void Assembler::load_vector(const Xmm& dst, const XAddress& from) {
  if (is_scalar()) return movss(dst, from);
  if (is_sse()) return movups(dst, from);
  need(dst.isZMM() ? IsaMask(Isa::avx512f) : IsaMask(Isa::avx));
  vmovups(dst, from);
}

void Assembler::store_vector(const XAddress& to, const Xmm& src) {
  if (is_scalar()) return movss(to, src);
  if (is_sse()) return movups(to, src);
  need(src.isZMM() ? IsaMask(Isa::avx512f) : IsaMask(Isa::avx));
  vmovups(to, src);
}

void Assembler::load_4(const Xmm& dst, const XAddress& from) {
  const Xmm low = low128(dst);
  if (is_sse()) return movss(low, from);
  need_avx(low);
  vmovss(low, from);
}

void Assembler::load_8(const Xmm& dst, const XAddress& from) {
  const Xmm low = low128(dst);
  if (is_sse()) return movq(low, from);
  need_avx(low);
  vmovq(low, from);
}

void Assembler::load_16(const Xmm& dst, const XAddress& from) {
  const Xmm low = low128(dst);
  if (is_sse()) return movups(low, from);
  need_avx(low);
  vmovups(low, from);
}

void Assembler::store_4(const XAddress& to, const Xmm& src) {
  const Xmm low = low128(src);
  if (is_sse()) return movss(to, low);
  need_avx(low);
  vmovss(to, low);
}

void Assembler::store_8(const XAddress& to, const Xmm& src) {
  const Xmm low = low128(src);
  if (is_sse()) return movq(to, low);
  need_avx(low);
  vmovq(to, low);
}

void Assembler::store_16(const XAddress& to, const Xmm& src) {
  const Xmm low = low128(src);
  if (is_sse()) return movups(to, low);
  need_avx(low);
  vmovups(to, low);
}

void Assembler::from_general(const Xmm& dst, const Reg32& src) {
  const Xmm low = low128(dst);
  if (is_sse()) return movd(low, src);
  need_avx(low);
  vmovd(low, src);
}

void Assembler::insert(const Xmm& dst, const XAddress& from, int bytes, int at_byte) {
  const Xmm x = low128(dst);
  const auto at = static_cast<uint8_t>(at_byte / bytes);
  if (is_sse()) {
    if (bytes != 2) need(Isa::sse4_1);
    switch (bytes) {
      case 1: return pinsrb(x, from, at);
      case 2: return pinsrw(x, from, at);
      case 4: return pinsrd(x, from, at);
      default: return pinsrq(x, from, at);
    }
  }
  need(x.getIdx() < 16 ? IsaMask(Isa::avx) : Isa::avx512bw | Isa::avx512dq);
  switch (bytes) {
    case 1: return vpinsrb(x, x, from, at);
    case 2: return vpinsrw(x, x, from, at);
    case 4: return vpinsrd(x, x, from, at);
    default: return vpinsrq(x, x, from, at);
  }
}

void Assembler::extract(const XAddress& to, const Xmm& src, int bytes, int at_byte) {
  const Xmm x = low128(src);
  const auto at = static_cast<uint8_t>(at_byte / bytes);
  if (at == 0 && bytes == 4) return store_4(to, x);
  if (at == 0 && bytes == 8) return store_8(to, x);
  if (is_sse()) {
    need(Isa::sse4_1);
    switch (bytes) {
      case 1: return pextrb(to, x, at);
      case 2: return pextrw(to, x, at);
      case 4: return pextrd(to, x, at);
      default: return pextrq(to, x, at);
    }
  }
  need(x.getIdx() < 16 ? IsaMask(Isa::avx) : Isa::avx512bw | Isa::avx512dq);
  switch (bytes) {
    case 1: return vpextrb(to, x, at);
    case 2: return vpextrw(to, x, at);
    case 4: return vpextrd(to, x, at);
    default: return vpextrq(to, x, at);
  }
}

void Assembler::shift_bytes_left(const Xmm& dst, int bytes) {
  const Xmm x = low128(dst);
  if (is_sse()) return pslldq(x, bytes);
  need(x.getIdx() < 16 ? IsaMask(Isa::avx) : Isa::avx512bw | Isa::avx512vl);
  vpslldq(x, x, static_cast<uint8_t>(bytes));
}

void Assembler::shift_bytes_right(const Xmm& dst, int bytes) {
  const Xmm x = low128(dst);
  if (is_sse()) return psrldq(x, bytes);
  need(x.getIdx() < 16 ? IsaMask(Isa::avx) : Isa::avx512bw | Isa::avx512vl);
  vpsrldq(x, x, static_cast<uint8_t>(bytes));
}

void Assembler::bit_or_128(const Xmm& dst, const Xmm& src) {
  const Xmm x = low128(dst), y = low128(src);
  if (is_sse()) return orps(x, y);
  if (is_avx512()) {
    need(evex128());
    return vpord(x, x, y);
  }
  need(Isa::avx);
  vorps(x, x, y);
}

void Assembler::shuffle_128(const Xmm& dst, const Xmm& src, int pattern) {
  const Xmm x = low128(dst), y = low128(src);
  const auto imm = static_cast<uint8_t>(pattern);
  if (is_sse()) return pshufd(x, y, imm);
  need_avx(x.getIdx() < 16 ? y : x);
  vpshufd(x, y, imm);
}

XAddress Assembler::constant(const std::vector<uint32_t>& words) {
  Label*& label = pool_[words];
  if (label == nullptr) label = &labels_.emplace_back();
  return ptr[rip + *label];
}

XAddress Assembler::splat_operand(uint32_t bits, bool broadcast) {
  if (!broadcast) {
    const int words = std::max(lanes(), 4);  // SSE reads 16 bytes, also in the scalar target
    return constant(std::vector<uint32_t>(static_cast<size_t>(words), bits));
  }
  constant({bits});
  return ptr_b[rip + *pool_[{bits}]];
}

void Assembler::load_constant(const Xmm& dst, uint32_t bits) {
  if (bits == 0) return zero(dst);
  if (bits == UINT32_MAX) return ones(dst);
  if (is_scalar()) return movss(dst, constant({bits}));
  if (is_sse()) return movaps(dst, splat_operand(bits, false));
  need(dst.isZMM() ? IsaMask(Isa::avx512f) : IsaMask(Isa::avx));
  vbroadcastss(dst, constant({bits}));
}

std::vector<uint32_t> Assembler::iota_words() const {
  std::vector<uint32_t> words(static_cast<size_t>(std::max(lanes(), 4)));
  std::iota(words.begin(), words.end(), 0u);
  return words;
}

std::vector<std::byte> Assembler::finish() {
  code_bytes_ = getSize();
  using Entry = std::pair<const std::vector<uint32_t>*, Label*>;
  std::vector<Entry> entries;
  for (auto& [words, label] : pool_) entries.emplace_back(&words, label);
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.first->size() > b.first->size();
  });
  if (!entries.empty()) align(64);
  for (const auto& [words, label] : entries) {
    assert(getSize() % (words->size() * 4) == 0 && "sizes are powers of two, the largest first");
    L(*label);
    for (const uint32_t word : *words) dd(word);
  }
  ready(PROTECT_RW);
  const auto* begin = reinterpret_cast<const std::byte*>(getCode());
  return {begin, begin + getSize()};
}

}  // namespace lathe::codegen::x86

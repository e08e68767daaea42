// What products of codes share, be their scales those of blocks or of channels.
#pragma once

#include "compiler/kernels/product/arithmetic.h"

namespace lathe::compiler::kernels::product {

constexpr int64_t kCodeGroup = 4;  ///< codes of w of consecutive k that lie side by side

/// How x lies in scratch. Codes: k of each row, i8 or, for q8_0 and i8 without vnni, i16 (as
/// CodeWriter's pairs). Factors: for each block of 32 its scale (a value of f16, as f32) and, where
/// the weight's codes are not centred, what that costs: for q4_0 and q8_0 as i32, -offset · sum of
/// codes; for q4_K as f32, -scale · sum of codes. For an i8 weight the whole row is one block.
struct CodedRows : PackedRows {
  CodedRows(const Product& product, const Target& target);

  int64_t words = 2;   ///< of each block's factors
  int64_t offset = 0;  ///< what the weight's codes lie above their values; 0 for q4_K
  bool as_pairs() const { return type == Type::i16; }
};

class CodedArithmetic : public Arithmetic {
 public:
  CodedArithmetic(const Product& product, const Target& target)
      : Arithmetic(product, target), rows_(product, target) {}
  PackedRows packed_rows(const Blocking& /*blocking*/) const override { return rows_; }

 protected:
  /// w is read once from memory: what lies ahead is asked for as `bytes` of it are read.
  static void prefetch(Builder& b, const Tile& tile, Pointer w, int64_t bytes) {
    for (int64_t at = 0; tile.s.prefetch > 0 && at < bytes; at += kLine)
      b.prefetch(w, at + tile.s.prefetch);
  }
  const CodedRows rows_;
};

/// As i16 the even (`half` 0) or the odd bytes of each group of four: a product of bytes with 1 and
/// 0 widens the even ones, one with 0 and 1 the odd.
inline Vec widener(Builder& b, int half) {
  return b.constant_bits(half == 0 ? 0x00010001U : 0x01000100U);
}
inline Vec widened(Builder& b, Vec codes, int half) {
  return b.int_op(Op::dot2_u8s8, widener(b, half), codes);
}

/// The same place as a row of 32-bit words.
inline Pointer as_words(Pointer p) {
  p.type = Type::i32;
  return p;
}

// Programs that write rows of x as codes: buffers x, codes, factors, parameters rows, x.stride0.
/// From floats, in blocks as `quantize` makes them.
Program pack_blocks(const Product& product, const Target& target);
/// From rows that are q8_0 already.
Program pack_q8_0(const Product& product, const Target& target);
/// From floats, with one scale a row.
Program pack_channels(const Product& product, const Target& target);

}  // namespace lathe::compiler::kernels::product

// The tables of plain two- and one-source instructions.
#include "codegen/x86/forms.h"

#include <array>

namespace lathe::codegen::x86 {
namespace {

using A = Assembler;
using X = Xmm;
using O = XOperand;

constexpr IsaMask kNone{};
constexpr IsaMask kSsse3{Isa::ssse3};
constexpr IsaMask kSse41{Isa::sse4_1};
constexpr IsaMask kAvx{Isa::avx};
constexpr IsaMask kAvx2{Isa::avx2};
constexpr IsaMask kF{Isa::avx512f};
constexpr IsaMask kBw{Isa::avx512bw};
constexpr bool kCommutes = true, kOrdered = false;
constexpr bool kBroadcast = true, kWhole = false;

#define LATHE_SSE(name) [](A& a, const X& d, const O& s) { a.name(d, s); }
#define LATHE_VEX(name) [](A& a, const X& d, const X& s, const O& t) { a.name(d, s, t); }
#define LATHE_ROUND(name, mode) [](A& a, const X& d, const O& s) { a.name(d, s, mode); }

constexpr std::array kBinary = {
    BinaryForm{Op::fadd, kCommutes, LATHE_SSE(addps), LATHE_SSE(addss), LATHE_VEX(vaddps),
               LATHE_VEX(vaddps), kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::fsub, kOrdered, LATHE_SSE(subps), LATHE_SSE(subss), LATHE_VEX(vsubps),
               LATHE_VEX(vsubps), kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::fmul, kCommutes, LATHE_SSE(mulps), LATHE_SSE(mulss), LATHE_VEX(vmulps),
               LATHE_VEX(vmulps), kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::fdiv, kOrdered, LATHE_SSE(divps), LATHE_SSE(divss), LATHE_VEX(vdivps),
               LATHE_VEX(vdivps), kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::fmin, kOrdered, LATHE_SSE(minps), LATHE_SSE(minss), LATHE_VEX(vminps),
               LATHE_VEX(vminps), kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::fmax, kOrdered, LATHE_SSE(maxps), LATHE_SSE(maxss), LATHE_VEX(vmaxps),
               LATHE_VEX(vmaxps), kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::fscale, kOrdered, nullptr, nullptr, nullptr, LATHE_VEX(vscalefps), kBroadcast,
               kNone, kNone, kF},
    BinaryForm{Op::iadd, kCommutes, LATHE_SSE(paddd), nullptr, LATHE_VEX(vpaddd), LATHE_VEX(vpaddd),
               kBroadcast, kNone, kAvx2, kF},
    BinaryForm{Op::isub, kOrdered, LATHE_SSE(psubd), nullptr, LATHE_VEX(vpsubd), LATHE_VEX(vpsubd),
               kBroadcast, kNone, kAvx2, kF},
    BinaryForm{Op::imul, kCommutes, LATHE_SSE(pmulld), nullptr, LATHE_VEX(vpmulld),
               LATHE_VEX(vpmulld), kBroadcast, kSse41, kAvx2, kF},
    BinaryForm{Op::imin, kCommutes, LATHE_SSE(pminsd), nullptr, LATHE_VEX(vpminsd),
               LATHE_VEX(vpminsd), kBroadcast, kSse41, kAvx2, kF},
    BinaryForm{Op::imax, kCommutes, LATHE_SSE(pmaxsd), nullptr, LATHE_VEX(vpmaxsd),
               LATHE_VEX(vpmaxsd), kBroadcast, kSse41, kAvx2, kF},
    BinaryForm{Op::iand, kCommutes, LATHE_SSE(andps), nullptr, LATHE_VEX(vandps), LATHE_VEX(vpandd),
               kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::ior, kCommutes, LATHE_SSE(orps), nullptr, LATHE_VEX(vorps), LATHE_VEX(vpord),
               kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::ixor, kCommutes, LATHE_SSE(xorps), nullptr, LATHE_VEX(vxorps), LATHE_VEX(vpxord),
               kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::iandn, kOrdered, LATHE_SSE(andnps), nullptr, LATHE_VEX(vandnps),
               LATHE_VEX(vpandnd), kBroadcast, kNone, kAvx, kF},
    BinaryForm{Op::iadd16, kCommutes, LATHE_SSE(paddw), nullptr, LATHE_VEX(vpaddw),
               LATHE_VEX(vpaddw), kWhole, kNone, kAvx2, kBw},
    BinaryForm{Op::dot2_u8s8, kOrdered, LATHE_SSE(pmaddubsw), nullptr, LATHE_VEX(vpmaddubsw),
               LATHE_VEX(vpmaddubsw), kWhole, kSsse3, kAvx2, kBw},
    BinaryForm{Op::dot2_s16, kCommutes, LATHE_SSE(pmaddwd), nullptr, LATHE_VEX(vpmaddwd),
               LATHE_VEX(vpmaddwd), kWhole, kNone, kAvx2, kBw},
    BinaryForm{Op::isign8, kOrdered, LATHE_SSE(psignb), nullptr, LATHE_VEX(vpsignb), nullptr,
               kWhole, kSsse3, kAvx2, kNone},
    BinaryForm{Op::byte_shuffle, kOrdered, LATHE_SSE(pshufb), nullptr, LATHE_VEX(vpshufb),
               LATHE_VEX(vpshufb), kWhole, kSsse3, kAvx2, kBw},
    BinaryForm{Op::mand, kCommutes, LATHE_SSE(andps), nullptr, LATHE_VEX(vandps), nullptr, kWhole,
               kNone, kAvx, kNone},
    BinaryForm{Op::mor, kCommutes, LATHE_SSE(orps), nullptr, LATHE_VEX(vorps), nullptr, kWhole,
               kNone, kAvx, kNone},
};

constexpr std::array kUnary = {
    UnaryForm{Op::fsqrt, LATHE_SSE(sqrtps), LATHE_SSE(sqrtss), LATHE_SSE(vsqrtps),
              LATHE_SSE(vsqrtps), kBroadcast, kNone, kAvx, kF},
    UnaryForm{Op::frecip, LATHE_SSE(rcpps), LATHE_SSE(rcpss), LATHE_SSE(vrcpps),
              LATHE_SSE(vrcp14ps), kBroadcast, kNone, kAvx, kF},
    UnaryForm{Op::frsqrt, LATHE_SSE(rsqrtps), LATHE_SSE(rsqrtss), LATHE_SSE(vrsqrtps),
              LATHE_SSE(vrsqrt14ps), kBroadcast, kNone, kAvx, kF},
    // Modes 8 and 11: nearest even and towards zero, without the inexact exception.
    UnaryForm{Op::fround, LATHE_ROUND(roundps, 8), LATHE_ROUND(roundss, 8),
              LATHE_ROUND(vroundps, 8), LATHE_ROUND(vrndscaleps, 8), kBroadcast, kSse41, kAvx, kF},
    UnaryForm{Op::ftrunc, LATHE_ROUND(roundps, 11), LATHE_ROUND(roundss, 11),
              LATHE_ROUND(vroundps, 11), LATHE_ROUND(vrndscaleps, 11), kBroadcast, kSse41, kAvx,
              kF},
    UnaryForm{Op::f2i, LATHE_SSE(cvtps2dq), nullptr, LATHE_SSE(vcvtps2dq), LATHE_SSE(vcvtps2dq),
              kBroadcast, kNone, kAvx, kF},
    UnaryForm{Op::i2f, LATHE_SSE(cvtdq2ps), nullptr, LATHE_SSE(vcvtdq2ps), LATHE_SSE(vcvtdq2ps),
              kBroadcast, kNone, kAvx, kF},
    UnaryForm{Op::iabs8, LATHE_SSE(pabsb), nullptr, LATHE_SSE(vpabsb), LATHE_SSE(vpabsb), kWhole,
              kSsse3, kAvx2, kBw},
};

#undef LATHE_SSE
#undef LATHE_VEX
#undef LATHE_ROUND

template <typename Form, size_t N>
constexpr auto by_op(const std::array<Form, N>& forms) {
  std::array<const Form*, static_cast<size_t>(Op::pmisaligned) + 1> table{};
  for (const Form& form : forms) table[static_cast<size_t>(form.op)] = &form;
  return table;
}

constexpr auto kBinaryByOp = by_op(kBinary);
constexpr auto kUnaryByOp = by_op(kUnary);

}  // namespace

const BinaryForm* binary_form(Op op) { return kBinaryByOp[static_cast<size_t>(op)]; }
const UnaryForm* unary_form(Op op) { return kUnaryByOp[static_cast<size_t>(op)]; }

}  // namespace lathe::codegen::x86

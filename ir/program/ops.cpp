// The instruction table. docs/kernel_ir.md prints it; printer, verifier and interpreter read it.
#include "ir/program/ops.h"

#include <array>

namespace lathe::ir::program {
namespace {

constexpr OpInfo row(std::string_view name, char result, std::string_view sources,
                     std::string_view meaning) {
  OpInfo info{};
  info.name = name;
  info.result = result;
  info.sources = sources;
  info.meaning = meaning;
  return info;
}
constexpr OpInfo with_imm(OpInfo info) {
  info.has_imm = true;
  return info;
}
constexpr OpInfo with_pattern(OpInfo info) {
  info.has_pattern = true;
  return info;
}
constexpr OpInfo with_scalar(OpInfo info) {
  info.has_scalar = true;
  return info;
}
constexpr OpInfo with_address(OpInfo info) {
  info.has_address = true;
  return info;
}
constexpr OpInfo reads(OpInfo info) {
  info.has_address = info.reads_memory = info.has_memory_type = true;
  return info;
}
constexpr OpInfo writes(OpInfo info) {
  info.has_address = info.writes_memory = info.has_memory_type = true;
  return info;
}

constexpr std::array kOps = {
    with_imm(row("vconst", 'v', "", "every lane = the low 32 bits of imm")),
    row("viota", 'v', "", "lane i = i as i32"),
    row("vsplat", 'v', "s", "every lane = the low 32 bits of the scalar"),
    row("vmov", 'v', "v", "a copy of the bits"),

    row("fadd", 'v', "vv", "a + b, rounded to nearest even as all f32 arithmetic"),
    row("fsub", 'v', "vv", "a - b"),
    row("fmul", 'v', "vv", "a * b"),
    row("fdiv", 'v', "vv", "a / b, correctly rounded"),
    row("fma", 'v', "vvv", "a * b + c; one rounding where target.fused, else two"),
    row("fms", 'v', "vvv", "a * b - c; one rounding where target.fused, else two"),
    row("fnma", 'v', "vvv", "c - a * b; one rounding where target.fused, else two"),
    row("fmin", 'v', "vv", "a < b ? a : b; so b where either is NaN or both are zero"),
    row("fmax", 'v', "vv", "a > b ? a : b; so b where either is NaN or both are zero"),
    row("fsqrt", 'v', "v", "square root, correctly rounded; NaN below zero"),
    row("frecip", 'v', "v",
        "1 / a within 1.5 * 2^-12 relative; 1/0 = inf, 1/inf = 0; implementation-defined low bits"),
    row("frsqrt", 'v', "v",
        "1 / sqrt(a) within 1.5 * 2^-12 relative; of 0 inf, of inf 0; implementation-defined low "
        "bits"),
    row("fround", 'v', "v", "to an integral value, nearest even"),
    row("ftrunc", 'v', "v", "to an integral value, towards zero"),
    row("fscale", 'v', "vv",
        "a * 2^b for integral b in [-252, 254], rounded once; b NaN gives NaN"),
    row("round_f16", 'v', "v", "to the nearest f16 value, kept as f32"),
    row("round_bf16", 'v', "v", "to the nearest bf16 value, kept as f32"),

    row("f2i", 'v', "v", "to i32, nearest even; 0x80000000 when out of range or NaN"),
    row("i2f", 'v', "v", "i32 to f32, nearest even"),

    row("iadd", 'v', "vv", "a + b in i32, wrapping"),
    row("isub", 'v', "vv", "a - b in i32, wrapping"),
    row("imul", 'v', "vv", "the low 32 bits of a * b"),
    row("imin", 'v', "vv", "signed minimum"),
    row("imax", 'v', "vv", "signed maximum"),
    row("iand", 'v', "vv", "a & b"),
    row("ior", 'v', "vv", "a | b"),
    row("ixor", 'v', "vv", "a ^ b"),
    row("iandn", 'v', "vv", "~a & b"),
    with_imm(row("ishl", 'v', "v", "a << imm in each i32 lane, 0 <= imm < 32")),
    with_imm(row("ishr", 'v', "v", "a >> imm, zeros shifted in")),
    with_imm(row("isar", 'v', "v", "a >> imm, the sign shifted in")),

    row("iadd16", 'v', "vv", "a + b in i16 lanes; the verifier proves that it does not wrap"),
    row("dot2_u8s8", 'v', "vv",
        "i16 lane = a0*b0 + a1*b1 over pairs of u8 a, s8 b; proven not to saturate"),
    row("dot2_s16", 'v', "vv", "i32 lane = a0*b0 + a1*b1 over pairs of i16; proven not to wrap"),
    row("dot4_u8s8", 'v', "vvv",
        "i32 lane = a0*b0 + … + a3*b3 + c over u8 a, s8 b; exact, proven not to saturate"),
    row("iabs8", 'v', "v", "absolute value of s8 lanes as u8"),
    row("isign8", 'v', "vv",
        "s8 lanes of a, negated where b < 0, zero where b = 0; a = -128 is excluded by proof"),

    with_pattern(row("permute", 'v', "v", "lane i = a[pattern[i]]")),
    with_pattern(row("shuffle2", 'v', "vv", "lane i = (a ++ b)[pattern[i]]")),
    row("byte_shuffle", 'v', "vv",
        "within each group of min(16, vector bytes) bytes: byte i = b[i] & 0x80 ? 0 : a[b[i] mod "
        "group]"),
    with_pattern(
        row("lookup8", 'v', "v",
            "lane i = word a[i] mod 8 of the eight in the pattern (32 bytes, little endian)")),
    row("reduce_add", 'v', "v",
        "every lane = the f32 sum, by halves: lane i + lane i+n/2, n = lanes … 2"),
    row("reduce_min", 'v', "v",
        "every lane = the f32 minimum by halves, as fmin(lane i, lane i+n/2)"),
    row("reduce_max", 'v', "v",
        "every lane = the f32 maximum by halves, as fmax(lane i, lane i+n/2)"),

    with_imm(row("fcmp", 'm', "vv",
                 "f32 comparison; imm is a Compare; false where either is NaN, but ne is true")),
    with_imm(row("icmp", 'm', "vv", "signed i32 comparison; imm is a Compare")),
    row("fnan", 'm', "v", "true where a is NaN"),
    row("mand", 'm', "mm", "both"),
    row("mor", 'm', "mm", "either"),
    row("mnot", 'm', "m", "not"),
    row("select", 'v', "mvv", "mask ? a : b"),

    reads(row("load", 'v', "", "all lanes from consecutive elements; no alignment asked")),
    with_scalar(
        reads(row("load_part", 'v', "",
                  "the first `scalar` lanes (0 … lanes), zero the rest; touches no byte beyond"))),
    reads(row("load_splat", 'v', "", "one element, converted, in every lane")),
    with_imm(with_address(OpInfo{
        "load_group", 'v', "", true, false, true, false, false, true, false,
        "imm (8 or 16) bytes repeated over the register; the first bytes where it is smaller"})),
    writes(row("store", '-', "v", "all lanes to consecutive elements")),
    with_scalar(writes(row("store_part", '-', "v",
                           "the first `scalar` lanes (0 … lanes); touches no byte beyond"))),
    writes(row(
        "store_stream", '-', "v",
        "as store, raw32 only, past the caches; the address is a multiple of the vector's bytes; "
        "other threads see it once the program has returned")),
    with_imm(with_address(row(
        "prefetch", '-', "",
        "a hint; imm = 0 into all caches, 1 L2, 2 last level, 3 once; any address is allowed"))),

    with_imm(row("sconst", 's', "", "imm")),
    row("smov", 's', "s", "a copy"),
    with_scalar(row("sadd", 's', "s", "a + scalar, wrapping i64")),
    with_scalar(row("ssub", 's', "s", "a - scalar")),
    with_scalar(row("smul", 's', "s", "a * scalar")),
    with_scalar(row("smin", 's', "s", "signed minimum of a and scalar")),
    with_scalar(row("smax", 's', "s", "signed maximum of a and scalar")),
    with_scalar(row("sand", 's', "s", "a & scalar")),
    with_imm(row("sshl", 's', "s", "a << imm, 0 <= imm < 64")),
    with_imm(row("sshr", 's', "s", "a >> imm, the sign shifted in")),
    with_scalar(row("sdiv", 's', "s", "a / scalar towards zero; scalar must not be 0")),
    with_imm(with_address(OpInfo{
        "sload", 's', "", true, false, true, false, false, true, false,
        "one integer of |imm| bytes (1, 2, 4, 8); imm < 0: sign-extended, else zero-extended"})),
    row("sbits", 's', "m", "bit i = lane i of the mask"),
    with_imm(row("slane", 's', "v", "lane imm as a sign-extended i32")),
    with_address(row("pmov", 'p', "", "the address itself, inside the same buffer")),
    with_imm(row("pmisaligned", 's', "p", "address mod imm, a power of two")),
};
static_assert(kOps.size() == static_cast<size_t>(Op::pmisaligned) + 1);

}  // namespace

const OpInfo& info(Op op) { return kOps[static_cast<size_t>(op)]; }
std::span<const OpInfo> all_ops() { return kOps; }

}  // namespace lathe::ir::program

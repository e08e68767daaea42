// Packs operations into keys; spells them out as problems.
#include "runtime/fetch_key.h"

#include <bit>

#include "compiler/family.h"
#include "support/hash.h"

namespace lathe::runtime {
namespace {

using compiler::Problem;
using compiler::ProblemBuilder;

enum class Tag : uint64_t {
  rms_norm = 1,
  layer_norm,
  normalize,
  softmax,
  gelu,
  silu,
  relu,
  swiglu,
  rope,
  embedding,
  quantize,
  linear,
  batched_matmul,
  elementwise,
  line,
};

uint64_t word(uint64_t value) { return value; }
uint64_t word(int64_t value) { return static_cast<uint64_t>(value); }
uint64_t word(double value) { return std::bit_cast<uint64_t>(value); }
uint64_t word(bool value) { return value ? 1 : 0; }
template <typename Enum>
  requires std::is_enum_v<Enum>
uint64_t word(Enum value) {
  return static_cast<uint64_t>(value);
}

// Rows matter only by their bucket, but telling buckets apart here would cost more than a second
// entry.
template <typename... Fields>
FetchKey pack(Tag tag, Fields... fields) {
  FetchKey key;
  key.words[0] = static_cast<uint64_t>(tag);
  size_t i = 1;
  ((key.words[i++] = word(fields)), ...);
  static_assert(sizeof...(fields) + 1 <= std::tuple_size_v<decltype(key.words)>);
  return key;
}

bool is_known(DataType type) {
  return static_cast<unsigned>(type) <= static_cast<unsigned>(DataType::q4_K);
}

// A text of any length stands in the key as its 128-bit hash.
template <typename... Fields>
FetchKey pack_text(Tag tag, std::string_view text, Fields... fields) {
  const support::Hash128 hash = support::hash128(text);
  return pack(tag, hash.low, hash.high, fields...);
}

// A builder for the named family with the parameters that every operation has.
Result<ProblemBuilder> start(std::string_view family, int64_t rows, DataType type) {
  LATHE_TRY(const compiler::Family* found, compiler::find_family(family));
  if (rows < 1)
    return fail(ErrorCode::invalid_argument, "{}: rows is {}, expected at least 1", family, rows);
  if (!is_known(type))
    return fail(ErrorCode::invalid_argument, "{}: type number {} is unknown", family,
                static_cast<int>(type));
  ProblemBuilder builder(*found);
  builder.set("rows", compiler::bucket_of(rows)).set("type", static_cast<ir::Type>(type));
  return builder;
}

// One more type, whose parameter is `name`.
Status set_type(ProblemBuilder& builder, std::string_view family, std::string_view name,
                DataType type) {
  if (!is_known(type))
    return fail(ErrorCode::invalid_argument, "{}: {} number {} is unknown", family, name,
                static_cast<int>(type));
  builder.set(name, static_cast<ir::Type>(type));
  return {};
}

Result<Problem> row_problem(std::string_view family, int64_t rows, int64_t width, DataType type) {
  LATHE_TRY(ProblemBuilder builder, start(family, rows, type));
  return builder.set("width", width).build();
}

}  // namespace

FetchKey fetch_key(const RmsNorm& op) {
  return pack(Tag::rms_norm, op.rows, op.width, op.eps, op.residual, op.quantised, op.type);
}
FetchKey fetch_key(const LayerNorm& op) {
  return pack(Tag::layer_norm, op.rows, op.width, op.eps, op.quantised, op.type);
}
FetchKey fetch_key(const Normalize& op) {
  return pack(Tag::normalize, op.rows, op.width, op.eps, op.type);
}
FetchKey fetch_key(const Softmax& op) { return pack(Tag::softmax, op.rows, op.width, op.type); }
FetchKey fetch_key(const Gelu& op) {
  return pack(Tag::gelu, op.rows, op.width, op.tanh_approximation, op.type);
}
FetchKey fetch_key(const Silu& op) { return pack(Tag::silu, op.rows, op.width, op.type); }
FetchKey fetch_key(const Relu& op) { return pack(Tag::relu, op.rows, op.width, op.type); }
FetchKey fetch_key(const Swiglu& op) { return pack(Tag::swiglu, op.rows, op.width, op.type); }
FetchKey fetch_key(const Rope& op) {
  const auto section = (int64_t{op.section_t} << 42) ^ (int64_t{op.section_h} << 21) ^ op.section_w;
  return pack(Tag::rope, op.rows, op.heads, op.dim, op.kind, section, op.norm, op.eps, op.type);
}
FetchKey fetch_key(const Embedding& op) { return pack(Tag::embedding, op.rows, op.width, op.type); }
FetchKey fetch_key(const Quantize& op) { return pack(Tag::quantize, op.rows, op.width, op.type); }
FetchKey fetch_key(const Linear& op) {
  return pack_text(Tag::linear, op.epilogue, op.rows, op.n, op.k, op.weight, op.pair,
                   int64_t{op.panel}, op.type, op.out);
}
FetchKey fetch_key(const BatchedMatmul& op) {
  const int64_t ways = (op.transpose_a ? 1 : 0) + (op.transpose_b ? 2 : 0);
  return pack_text(Tag::batched_matmul, op.epilogue, op.batch, op.rows, op.n, op.k, op.group, ways,
                   op.type, op.b_type, op.out);
}
FetchKey fetch_key(const Elementwise& op) {
  return pack_text(Tag::elementwise, op.expression, op.rows, op.width, op.type, op.out);
}
FetchKey fetch_key(std::string_view problem_line) { return pack_text(Tag::line, problem_line); }

Result<Problem> make_problem(const RmsNorm& op) {
  LATHE_TRY(ProblemBuilder builder, start("rms_norm", op.rows, op.type));
  builder.set("width", op.width).set("eps", op.eps);
  if (op.residual) builder.set_text("prologue", "add(x,r)").set("keep", true);
  if (op.quantised) builder.set("out", ir::Type::q8_0);
  return builder.build();
}
Result<Problem> make_problem(const LayerNorm& op) {
  LATHE_TRY(ProblemBuilder builder, start("layer_norm", op.rows, op.type));
  builder.set("width", op.width).set("eps", op.eps);
  if (op.quantised) builder.set("out", ir::Type::q8_0);
  return builder.build();
}
Result<Problem> make_problem(const Normalize& op) {
  LATHE_TRY(ProblemBuilder builder, start("normalize", op.rows, op.type));
  return builder.set("width", op.width).set("eps", op.eps).build();
}
Result<Problem> make_problem(const Softmax& op) {
  return row_problem("softmax", op.rows, op.width, op.type);
}
Result<Problem> make_problem(const Gelu& op) {
  LATHE_TRY(ProblemBuilder builder, start("gelu", op.rows, op.type));
  builder.set("width", op.width).set_text("approximate", op.tanh_approximation ? "tanh" : "none");
  return builder.build();
}
Result<Problem> make_problem(const Silu& op) {
  return row_problem("silu", op.rows, op.width, op.type);
}
Result<Problem> make_problem(const Relu& op) {
  return row_problem("relu", op.rows, op.width, op.type);
}
Result<Problem> make_problem(const Swiglu& op) {
  return row_problem("swiglu", op.rows, op.width, op.type);
}
Result<Problem> make_problem(const Rope& op) {
  LATHE_TRY(ProblemBuilder builder, start("rope", op.rows, op.type));
  builder.set("heads", op.heads).set("dim", op.dim);
  switch (op.kind) {
    case Rope::Kind::plain: builder.set_text("kind", "rope"); break;
    case Rope::Kind::vision: builder.set_text("kind", "vision"); break;
    case Rope::Kind::multi_axis:
      builder.set_text("kind", "mrope")
          .set_text("section", fmt::format("{}:{}:{}", op.section_t, op.section_h, op.section_w));
      break;
    default:
      return fail(ErrorCode::invalid_argument, "rope: kind number {} is unknown",
                  static_cast<int>(op.kind));
  }
  if (op.norm) builder.set("norm", true).set("eps", op.eps);
  return builder.build();
}
Result<Problem> make_problem(const Embedding& op) {
  return row_problem("embedding", op.rows, op.width, op.type);
}
Result<Problem> make_problem(const Quantize& op) {
  return row_problem("quantize", op.rows, op.width, op.type);
}
Result<Problem> make_problem(const Linear& op) {
  LATHE_TRY(ProblemBuilder builder, start("linear", op.rows, op.type));
  LATHE_CHECK(set_type(builder, "linear", "out", op.out));
  LATHE_CHECK(set_type(builder, "linear", "weight", op.weight));
  builder.set("n", op.n).set("k", op.k).set("panel", int64_t{op.panel}).set("pair", op.pair);
  return builder.set_text("epilogue", op.epilogue).build();
}
Result<Problem> make_problem(const BatchedMatmul& op) {
  LATHE_TRY(ProblemBuilder builder, start("batched_matmul", op.rows, op.type));
  if (op.batch < 1)
    return fail(ErrorCode::invalid_argument, "batched_matmul: batch is {}, expected at least 1",
                op.batch);
  LATHE_CHECK(set_type(builder, "batched_matmul", "out", op.out));
  LATHE_CHECK(set_type(builder, "batched_matmul", "b_type", op.b_type));
  builder.set("batch", compiler::bucket_of(op.batch)).set("n", op.n).set("k", op.k);
  builder.set("group", op.group).set("transpose_a", op.transpose_a);
  return builder.set("transpose_b", op.transpose_b).set_text("epilogue", op.epilogue).build();
}
Result<Problem> make_problem(const Elementwise& op) {
  LATHE_TRY(ProblemBuilder builder, start("elementwise", op.rows, op.type));
  LATHE_CHECK(set_type(builder, "elementwise", "out", op.out));
  return builder.set("width", op.width).set_text("expr", op.expression).build();
}

}  // namespace lathe::runtime

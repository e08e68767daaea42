// attention_block_sparse: attention of many rows in which each block of tokens sees listed blocks
// of keys alone.
//
// The lists are those of FlexAttention's BlockMask (PyTorch, 2024): a count and a row of numbers
// for each block of tokens, so that whoever makes them knows their shape beforehand. The query
// heads of a head of k share them, as in Native Sparse Attention (Yuan et al., 2025) and
// SeerAttention (Gao et al., 2024): a block of keys is then read once for all of these heads.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/attention/heads.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"

namespace lathe::compiler::kernels {
namespace {

using attention::Attention;
using ir::Target;

constexpr int64_t kBlockUnit = 16, kMostBlock = 256;

int64_t blocks_of(int64_t count, int64_t block) { return (count + block - 1) / block; }

Status validate_block_sparse(const Problem& p) {
  if (const int64_t block = p.integer("block"); block % kBlockUnit != 0) {
    return fail(ErrorCode::invalid_argument, "block: found {}, expected a multiple of {}", block,
                kBlockUnit);
  }
  return attention::validate(p);
}

Sizes sizes_of_lists(const Problem& p, const Sizes& sizes) {
  Sizes lists;
  if (const auto tokens = sizes.find("tokens"); tokens != sizes.end())
    lists["query_blocks"] = blocks_of(tokens->second, p.integer("block"));
  // Lists without room would make the call empty, and leave y as it is.
  if (const auto kept = sizes.find("kept"); kept != sizes.end() && kept->second < 1)
    lists["kept"] = 1;
  return lists;
}

SearchSpace block_sparse_space(const Problem& p, const Target& target) {
  const Attention attention(p);
  const auto add_blocks = [&](SearchSpace& space, const auto&, const auto&) {
    std::vector<int64_t> queries;
    for (const int64_t count : {32, 64, 128})
      if (count < attention.block && attention.block % count == 0) queries.push_back(count);
    if (attention.block <= 128 || queries.empty()) queries.push_back(attention.block);
    space.knob("queries", queries, queries.back(), "tokens that are taken at once");
    const auto usual = attention.block <= 64 ? int64_t{4} : int64_t{2};
    space.knob("together", {1, 2, 4}, usual,
               "blocks of keys that share a softmax where all tokens see them whole");
  };
  return attention::prefill_space(attention, target, attention.block, add_blocks);
}

Result<ir::plan::Plan> build_block_sparse(const Problem& p, const Schedule& s,
                                          const Target& target) {
  LATHE_CHECK(block_sparse_space(p, target).check(s));
  const Attention attention(p);
  return block_sparse_plan(attention, attention::Blocking(attention, s, target), target);
}

// Two heads of k; three blocks of tokens and six of keys, the last of each short, with room for
// all: lists of every length up to that.
Result<Miniature> block_sparse_miniature(const Problem& p, const Schedule& s,
                                         const Target& target) {
  const Attention attention(p);
  const attention::Blocking blocking(attention, s, target);
  const int64_t block = attention.block;
  LATHE_TRY(Problem small, attention::with_few_heads(p));
  Sizes sizes = {{"batch", 1},
                 {"tokens", 2 * block + blocking.score_tile.mr + 1},
                 {"context", 5 * block + target.lanes / 2 + 1},
                 {"kept", 6}};
  sizes.merge(sizes_of_lists(p, sizes));
  return Miniature{std::move(small), std::move(sizes)};
}

}  // namespace

const Family& attention_block_sparse() {
  static const Family family = [] {
    Family sparse = attention::family_of_attention("attention_block_sparse");
    sparse.summary = "attention in which a block of tokens sees listed blocks of keys alone";
    sparse.example =
        "attention_block_sparse tokens=8192 heads=16 kv_heads=8 dim=128 causal=end block=64 "
        "kept=13";
    std::erase_if(sparse.parameters, [](const ParameterSpec& parameter) {
      return parameter.name.starts_with("mask");
    });
    sparse.parameters[0].required = true;
    sparse.parameters[1].default_of = "tokens";
    sparse.parameters.push_back(integer_parameter("block", 64, kBlockUnit, kMostBlock,
                                                  "tokens of a block, and keys of one"));
    sparse.parameters.push_back(
        {"kept", bucket_of(8), "bucket of the blocks that a list has room for, a run-time size"});
    sparse.revision = 2;
    sparse.smallest = "attention_block_sparse tokens=1 heads=1 dim=8 block=16";
    sparse.validate = validate_block_sparse;
    sparse.space = block_sparse_space;
    sparse.build = build_block_sparse;
    sparse.miniature = block_sparse_miniature;
    sparse.dependent_sizes = sizes_of_lists;
    return sparse;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels

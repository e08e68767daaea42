// Every struct of <lathe/ops.h> is described whole: no member is forgotten, none is mistaken for
// another, and every family has its struct.
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "runtime/library/fetch_key.h"

namespace lathe::runtime {
namespace {

struct Anything {
  template <typename T>
  operator T() const;  // NOLINT: implicit by design, and never defined
};

template <typename Op, size_t... kIndices>
constexpr bool takes(std::index_sequence<kIndices...>) {
  return requires { Op{(static_cast<void>(kIndices), Anything{})...}; };
}

/// Members of an aggregate: the most values that it can be made of.
template <typename Op, size_t kMost = 32>
constexpr size_t member_count() {
  if constexpr (takes<Op>(std::make_index_sequence<kMost>())) {
    return kMost;
  } else {
    return member_count<Op, kMost - 1>();
  }
}

template <typename Op>
constexpr size_t described_count() {
  size_t count = 0;
  Description<Op>::fields(Op{}, [&](const auto&...) { ++count; });
  return count;
}

/// Changes a member; undoing it is the second call.
void change(int64_t& value) { value ^= int64_t{1} << 40; }
void change(int& value) { value ^= 1 << 20; }
void change(bool& value) { value = !value; }
void change(double& value) { value = -value; }
void change(std::string_view& value) { value = value == "other" ? "y" : "other"; }
template <typename Enum>
  requires std::is_enum_v<Enum>
void change(Enum& value) {
  value = static_cast<Enum>(static_cast<int>(value) ^ 2);
}

template <typename Op>
void check() {
  SCOPED_TRACE(family_name(Op{}));
  EXPECT_EQ(described_count<Op>(), member_count<Op>())
      << "fields() in runtime/library/operations.h has to name every member once";
  Op op;
  std::set<std::string> names;
  std::vector<FetchKey> keys = {fetch_key(op)};
  Description<Op>::fields(op, [&](std::string_view name, const auto& member, const auto&...) {
    EXPECT_TRUE(names.emplace(name).second) << name << " is named twice";
    auto& value = const_cast<std::remove_cvref_t<decltype(member)>&>(member);
    change(value);
    const FetchKey key = fetch_key(op);
    for (const FetchKey& other : keys) EXPECT_FALSE(key == other) << name;
    keys.push_back(key);
    change(value);
  });
}

template <typename Op>
void add_families(std::multiset<std::string_view>& families) {
  if constexpr (requires { Description<Op>::kFamilies; }) {
    families.insert(Description<Op>::kFamilies.begin(), Description<Op>::kFamilies.end());
  } else {
    families.insert(Description<Op>::kFamily);
  }
}

template <typename... Ops>
void check_all(const std::tuple<Ops...>*) {
  (check<Ops>(), ...);
  std::multiset<std::string_view> families;
  (add_families<Ops>(families), ...);
  EXPECT_EQ(families.size(), std::set(families.begin(), families.end()).size())
      << "two operations of one family";
  std::set<FetchKey, bool (*)(const FetchKey&, const FetchKey&)> keys(
      [](const FetchKey& a, const FetchKey& b) { return a.words < b.words; });
  (keys.insert(fetch_key(Ops{})), ...);
  EXPECT_EQ(keys.size(), sizeof...(Ops)) << "keys of different operations are alike";
  for (const compiler::Family* family : compiler::catalogue()) {
    EXPECT_TRUE(families.contains(family->name))
        << "no operation of " << family->name
        << ": add a struct to <lathe/ops.h>, and its description to runtime/library/operations.h";
  }
}

TEST(Operations, EachIsDescribedWhole) { check_all(static_cast<const Operations*>(nullptr)); }

TEST(Operations, AttentionChoosesByTokens) {
  const auto line = [](const Attention& op) {
    const auto problem = make_problem(op);
    return problem ? problem->line() : problem.error().message;
  };
  EXPECT_EQ(line({.heads = 16, .kv_heads = 8, .dim = 128, .causal = Attention::Causal::end}),
            "attention_prefill tokens=512..2047 heads=16 kv_heads=8 dim=128 causal=end");
  EXPECT_EQ(line({.heads = 4, .dim = 64, .lengths = true, .tokens = 1, .context = 5000}),
            "attention_decode context=2048..8191 heads=4 dim=64 lengths=true");
  // What attention_decode does not compute.
  EXPECT_EQ(line({.heads = 4, .dim = 64, .packed = Attention::Packed::shared, .tokens = 9}),
            "attention_prefill tokens=8..31 heads=4 dim=64 packed=shared");
  EXPECT_EQ(line({.dim = 64, .window = 9, .lookahead = 2, .kept_keys = 4, .tokens = 1}),
            "attention_prefill tokens=1 context=512..2047 heads=1 dim=64 window=9 lookahead=2 "
            "kept_keys=4");
  EXPECT_EQ(line({.dim = 8,
                  .packed = Attention::Packed::queries,
                  .mask = Attention::Mask::additive,
                  .mask_of_rows = true,
                  .mask_type = DataType::f16,
                  .lengths = true,
                  .memory = 1 << 20}),
            "attention_prefill tokens=512..2047 heads=1 dim=8 mask=add mask_of_rows=true "
            "mask_type=f16 packed=queries lengths=true memory=1048576");
  EXPECT_EQ(line({.heads = 4,
                  .dim = 64,
                  .kv_layout = Attention::KvLayout::hnd,
                  .tokens = 1,
                  .context = 5000}),
            "attention_decode context=2048..8191 heads=4 dim=64 kv_layout=hnd");
  Attention paged = {.heads = 4,
                     .dim = 64,
                     .lengths = true,
                     .cache = Attention::Cache::paged,
                     .page = 16,
                     .kv_type = DataType::q8_0,
                     .tokens = 1,
                     .context = 5000};
  EXPECT_EQ(line(paged),
            "attention_decode context=2048..8191 heads=4 dim=64 kv_type=q8_0 lengths=true "
            "cache=paged page=16");
  paged.lengths = false;
  EXPECT_EQ(line(paged),
            "attention_decode: lengths: found false with cache=paged, expected true: they say how "
            "many pages each sequence has");
  paged.page = 0;
  EXPECT_EQ(line(paged),
            "attention_decode: page: found 0 with cache=paged, expected the number of keys of a "
            "page");
  paged = {.dim = 40, .kv_type = DataType::q8_0, .tokens = 1};
  EXPECT_EQ(line(paged),
            "attention_decode: dim: found 40, expected a multiple of the block of 32 of "
            "kv_type=q8_0");
}

TEST(Operations, ListedBlocksAndTheirScores) {
  EXPECT_EQ(make_problem(BlockSparseAttention{.block = 128,
                                              .heads = 16,
                                              .kv_heads = 8,
                                              .dim = 128,
                                              .causal = Attention::Causal::end,
                                              .tokens = 9000,
                                              .context = 9000,
                                              .kept = 40})
                ->line(),
            "attention_block_sparse tokens=8192.. heads=16 kv_heads=8 dim=128 causal=end "
            "block=128 kept=32..127");
  EXPECT_EQ(make_problem(AttentionRouter{.heads = 4, .dim = 64, .rank = 8})->line(),
            "attention_router tokens=2048..8191 heads=4 dim=64 rank=8");
  EXPECT_EQ(make_problem(BlockSparseAttention{.block = 40, .dim = 64}).error().message,
            "attention_block_sparse: block: found 40, expected a multiple of 16");
}

TEST(Operations, ErrorsNameTheField) {
  const auto message = [](const auto& op) {
    const auto problem = make_problem(op);
    EXPECT_FALSE(problem);
    return problem ? std::string() : problem.error().message;
  };
  EXPECT_EQ(message(Softmax{.width = 8, .rows = 0}), "softmax: rows is 0, expected at least 1");
  EXPECT_EQ(message(BatchedMatmul{.batch = -1, .n = 8, .k = 8}),
            "batched_matmul: batch is -1, expected at least 1");
  EXPECT_EQ(message(Linear{.n = 8, .k = 8, .weight = static_cast<DataType>(99)}),
            "linear: weight number 99 is unknown");
  EXPECT_EQ(message(Attention{.dim = 8, .mask = static_cast<Attention::Mask>(3)}),
            "attention: mask number 3 is unknown");
  EXPECT_EQ(message(Attention{.dim = 8, .cache = static_cast<Attention::Cache>(2), .tokens = 1}),
            "attention: cache number 2 is unknown");
  EXPECT_EQ(message(Attention{.dim = 8, .kv_layout = static_cast<Attention::KvLayout>(2)}),
            "attention: kv_layout number 2 is unknown");
  EXPECT_EQ(message(Attention{.heads = 3, .kv_heads = 2, .dim = 8}),
            "attention_prefill: heads: found 3 with kv_heads=2, expected a multiple of those");
  EXPECT_EQ(message(Attention{.dim = 8, .causal = Attention::Causal::end, .lookahead = 1}),
            "attention_prefill: lookahead: found 1 with causal=end, expected -1: no key after a "
            "token's own is seen");
  EXPECT_EQ(message(Attention{.dim = 8, .kept_keys = 1}),
            "attention_prefill: kept_keys: found 1 with window=0, expected 0: no window would hide "
            "them");
  EXPECT_EQ(message(Attention{.dim = 8, .packed = Attention::Packed::shared, .lengths = true}),
            "attention_prefill: lengths: found true with packed=shared, expected false: bounds say "
            "how many keys each sequence has");
  EXPECT_EQ(message(Attention{.dim = 8, .mask_of_rows = true}),
            "attention_prefill: mask_of_rows: found true with mask=none, expected false");
  EXPECT_EQ(
      message(Attention{.dim = 8, .mask = Attention::Mask::boolean, .mask_type = DataType::bf16}),
      "attention_prefill: mask_type: found bf16 with mask=bool, expected f32, as only numbers "
      "have another type");
  EXPECT_EQ(message(Attention{.dim = 8, .packed = static_cast<Attention::Packed>(9)}),
            "attention: packed number 9 is unknown");
  EXPECT_EQ(message(Rope{.kind = static_cast<Rope::Kind>(7)}), "rope: kind number 7 is unknown");
}

}  // namespace
}  // namespace lathe::runtime

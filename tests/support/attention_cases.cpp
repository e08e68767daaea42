// The cases: variants by lengths.
#include "tests/support/attention_cases.h"

#include <algorithm>

#include <fmt/format.h>

namespace lathe::tests {
namespace {

compiler::Sizes sizes(int64_t tokens, int64_t context, int64_t batch = 1) {
  return {{"batch", batch}, {"tokens", tokens}, {"context", context}};
}

AttentionCase attention_case(const char* family, const std::string& rest,
                             const compiler::Sizes& at) {
  const auto size = [&](const char* name) { return at.find(name)->second; };
  return {fmt::format("{} tokens={} context={} {}", family, size("tokens"), size("context"), rest),
          at};
}

}  // namespace

std::vector<AttentionCase> attention_prefill_cases() {
  std::vector<AttentionCase> cases;
  const auto add = [&](const std::string& rest, const compiler::Sizes& at) {
    cases.push_back(attention_case("attention_prefill", rest, at));
  };
  for (const char* causal : {"none", "start", "end"}) {
    const std::string line = fmt::format("heads=2 kv_heads=1 dim=24 causal={}", causal);
    for (const int64_t tokens : {1, 7, 33, 71})
      for (const int64_t context : {1, 9, 64, 130}) add(line, sizes(tokens, context));
    add(line, sizes(5, 9, 3));
  }
  for (const char* window : {"window=1", "window=5", "window=64", "window=1000"}) {
    for (const char* causal : {"none", "start", "end"}) {
      const std::string line = fmt::format("heads=1 dim=8 causal={} {}", causal, window);
      add(line, sizes(71, 71));
      add(line, sizes(40, 201));
      add(line, sizes(33, 9));
    }
  }
  for (const char* variant : {"softcap=3",
                              "softcap=0.5 causal=end window=9",
                              "scale=2",
                              "sinks=true",
                              "sinks=true causal=end lse=true",
                              "lse=true causal=end window=3",
                              "mask=bool",
                              "mask=add causal=end",
                              "mask=add softcap=2 sinks=true window=20",
                              "mask=bool lse=true",
                              "type=f16",
                              "type=bf16 causal=end",
                              "type=f16 kv_type=bf16 out=f32",
                              "kv_type=f16 causal=end",
                              "value_dim=5",
                              "value_dim=80 causal=end",
                              "lengths=true",
                              "lengths=true causal=end lse=true",
                              "lengths=true causal=start window=7",
                              "mask=bool mask_of_rows=true lse=true",
                              "mask=add mask_type=f16 causal=end",
                              "mask=add mask_type=bf16 mask_of_rows=true sinks=true lse=true"}) {
    const std::string line = fmt::format("heads=4 kv_heads=2 dim=20 {}", variant);
    add(line, sizes(6, 77));
    add(line, sizes(69, 69, 2));
  }
  // Windows on both sides, and kept keys in blocks of their own, in those of the window, between.
  for (const char* window :
       {"lookahead=0", "lookahead=70", "window=5 lookahead=2", "window=1 lookahead=0",
        "window=3 causal=end kept_keys=2", "window=20 causal=start kept_keys=70",
        "window=4 lookahead=1 kept_keys=5", "window=40 kept_keys=3 lookahead=300"}) {
    const std::string line = fmt::format("heads=2 kv_heads=1 dim=8 {}", window);
    add(line, sizes(71, 71));
    add(line, sizes(40, 201));
    add(line, sizes(33, 9));
  }
  for (const char* window :
       {"causal=end kept_keys=3 window=20", "causal=end kept_keys=300 window=9",
        "lengths=true causal=end kept_keys=270 window=30"})
    add(fmt::format("heads=1 dim=8 {}", window), sizes(40, 600, 2));
  for (const int64_t dim : {1, 7, 64, 72, 80, 128, 256})
    add(fmt::format("heads=1 dim={} causal=end", dim), sizes(13, 67));
  return cases;
}

std::vector<AttentionCase> attention_packed_cases() {
  std::vector<AttentionCase> cases;
  // A token, none, a few, a tile and one, a block and some.
  const std::vector<int64_t> tokens = {0, 1, 1, 8, 41, 112};
  const std::vector<int64_t> keys = {0, 9, 18, 18, 148, 212};  // none for the few
  const auto add = [&](const std::string& packed, const std::string& rest) {
    const bool is_shared = packed == "shared";
    AttentionCase& added = cases.emplace_back();
    added.line = fmt::format("attention_prefill tokens={} context={} packed={} {}", tokens.back(),
                             is_shared ? tokens.back() : keys.back(), packed, rest);
    added.sizes = {{"tokens", tokens.back()}, {"bounds", 6}};
    added.given["cu_seqlens"] = tokens;
    if (packed == "separate") added.given["cu_seqlens_k"] = keys;
    if (packed.starts_with("queries")) {
      added.sizes.insert({{"batch", 5}, {"context", 77}});
      added.given["lengths"] = {77, 3, 0, 40, 64};
    } else if (!is_shared) {
      added.sizes["context"] = keys.back();
    }
  };
  for (const char* packed : {"shared", "separate", "queries", "queries lengths=true"}) {
    const std::string form = packed;
    for (const char* causal : {"none", "start", "end"})
      add(form, fmt::format("heads=2 kv_heads=1 dim=24 causal={}", causal));
    for (const char* variant :
         {"window=5 causal=end", "window=9 lookahead=3 kept_keys=2", "sinks=true lse=true",
          "mask=bool causal=end", "mask=add mask_type=bf16 mask_of_rows=true lse=true",
          "type=bf16 causal=end value_dim=5", "softcap=2 kv_type=f16 out=f32", "memory=400000"})
      add(form, fmt::format("heads=4 kv_heads=2 dim=20 {}", variant));
  }
  const auto more = [&](const std::string& rest, const std::vector<int64_t>& bounds) {
    cases.push_back(
        {fmt::format("attention_prefill tokens={} {}", std::max<int64_t>(bounds.back(), 1), rest),
         {{"tokens", bounds.back()}, {"bounds", static_cast<int64_t>(bounds.size())}},
         {{"cu_seqlens", bounds}}});
  };
  // Tiles and blocks exactly filled, one more, one less; one sequence; several blocks of keys.
  for (const char* causal : {"none", "end"}) {
    const std::string rest =
        fmt::format("packed=shared heads=2 kv_heads=1 dim=8 causal={}", causal);
    more(rest, {0, 64, 127, 192, 257});
    more(rest, {0, 32, 32, 32});
    more(rest, {0, 70});
    more(rest, {0, 3, 260, 519});
  }
  for (const char* variant : {"", "causal=end", "causal=end window=30 kept_keys=3", "mask=bool"}) {
    cases.push_back(
        {fmt::format("attention_prefill tokens=69 context=300 heads=4 kv_heads=2 dim=20 "
                     "memory=300000 {}",
                     variant),
         sizes(69, 300, 2)});
  }
  return cases;
}

std::vector<AttentionCase> attention_decode_cases() {
  std::vector<AttentionCase> cases;
  const auto add = [&](const std::string& rest, const compiler::Sizes& at) {
    cases.push_back(attention_case("attention_decode", rest, at));
  };
  for (const char* causal : {"none", "start", "end"}) {
    for (const int64_t tokens : {1, 2, 5, 16})
      for (const int64_t context : {1, 9, 256, 600})
        add(fmt::format("heads=2 kv_heads=1 dim=24 causal={}", causal), sizes(tokens, context));
  }
  for (const char* variant :
       {"", "causal=end", "lengths=true", "lengths=true causal=end lse=true",
        "lengths=true causal=end window=7", "window=300 causal=end", "sinks=true lse=true",
        "softcap=3 causal=end", "mask=bool", "mask=add causal=end lengths=true", "scale=2",
        "kv_type=f16", "kv_type=bf16 causal=end", "type=f16 out=f32", "value_dim=5", "value_dim=80",
        "mask=bool mask_of_rows=true causal=end", "mask=add mask_type=bf16 lse=true"}) {
    for (const char* heads : {"heads=3", "heads=8 kv_heads=2", "heads=5 kv_heads=1"}) {
      add(fmt::format("{} dim=20 {}", heads, variant), sizes(1, 531, 2));
      add(fmt::format("{} dim=20 {}", heads, variant), sizes(3, 40, 3));
    }
  }
  // A bucket says what a kernel will mostly see; it computes any number of tokens.
  for (const int64_t tokens : {1, 3, 40}) {
    const char* rest = "heads=4 kv_heads=2 dim=20 causal=end";
    cases.push_back(
        {fmt::format("attention_decode tokens=1 context=1 {}", rest), sizes(tokens, 300)});
    cases.push_back(
        {fmt::format("attention_prefill tokens=1 context=1 {}", rest), sizes(tokens, 300)});
  }
  for (const int64_t dim : {1, 7, 64, 72, 80, 128, 256}) {
    add(fmt::format("heads=2 kv_heads=1 dim={}", dim), sizes(1, 67));
    add(fmt::format("heads=2 kv_heads=1 dim={} causal=end", dim), sizes(4, 2100));
  }
  // Rows of bf16 go in pairs, where they are whole pairs.
  for (const int64_t dim : {1, 2, 7, 22, 66, 128}) {
    for (const int64_t value_dim : {5, 34}) {
      add(fmt::format("heads=4 kv_heads=2 dim={} value_dim={} kv_type=bf16 causal=end lse=true",
                      dim, value_dim),
          sizes(3, 67, 2));
    }
    add(fmt::format("heads=2 kv_heads=1 dim={} type=bf16", dim), sizes(1, 300));
  }
  return cases;
}

AttentionCase paged_case(const std::string& rest, int64_t page, int64_t tokens, int64_t context,
                         int64_t batch, int64_t spare_pages) {
  const int64_t most = (context + page - 1) / page;
  return {
      fmt::format("attention_decode tokens={} context={} {} lengths=true cache=paged page={}",
                  tokens, context, rest, page),
      {{"batch", batch},
       {"tokens", tokens},
       {"most", most},
       {"pages", std::max<int64_t>(batch * most + spare_pages, 1)}},
      {},
      compiler::InputKind::equal};  // lengths reach their bounds where inputs are not all normal
}

std::vector<AttentionCase> attention_paged_cases() {
  std::vector<AttentionCase> cases;
  for (const int64_t page : {1, 5, 16, 100, 300}) {
    cases.push_back(paged_case("heads=4 kv_heads=2 dim=20", page, 1, 531));
    cases.push_back(paged_case("heads=2 kv_heads=1 dim=24 causal=end", page, 3, 70));
    cases.push_back(paged_case("heads=2 dim=8 causal=end window=37", page, 2, 290));
  }
  for (const char* variant :
       {"causal=end lse=true sinks=true", "softcap=3 causal=end window=7", "mask=add causal=end",
        "mask=bool", "kv_type=f16", "type=bf16 causal=end", "value_dim=5", "value_dim=80"})
    cases.push_back(paged_case(fmt::format("heads=5 kv_heads=1 dim=20 {}", variant), 16, 2, 301));
  // Sequences that begin alike share pages; one sequence alone; one key.
  cases.push_back(paged_case("heads=2 kv_heads=1 dim=16", 16, 1, 200, 4, -30));
  cases.push_back(paged_case("heads=1 dim=16", 16, 16, 40, 2));
  cases.push_back(paged_case("heads=3 kv_heads=3 dim=7", 1, 1, 1, 2));
  return cases;
}

std::vector<AttentionCase> attention_block_cases() {
  std::vector<AttentionCase> cases;
  const auto add = [&](const std::string& rest, const compiler::Sizes& at) {
    cases.push_back(attention_case("attention_decode", rest + " kv_type=q8_0", at));
  };
  for (const int64_t dim : {32, 96, 128, 160, 256}) {
    add(fmt::format("heads=2 kv_heads=1 dim={}", dim), sizes(1, 67, 2));
    add(fmt::format("heads=4 kv_heads=4 dim={} causal=end", dim), sizes(1, 300));
  }
  for (const char* variant :
       {"heads=4 kv_heads=2", "heads=3 causal=end value_dim=64", "heads=8 kv_heads=2 lengths=true",
        "heads=5 kv_heads=1 lengths=true causal=end window=7 lse=true",
        "heads=2 mask=add softcap=2 sinks=true", "heads=2 type=f16", "heads=2 type=bf16 out=f32"}) {
    add(fmt::format("{} dim=32", variant), sizes(1, 531, 2));
    add(fmt::format("{} dim=32", variant), sizes(3, 40, 3));
  }
  for (const int64_t page : {1, 16, 300}) {
    cases.push_back(paged_case("heads=4 kv_heads=2 dim=64 kv_type=q8_0", page, 1, 531));
    cases.push_back(paged_case("heads=2 dim=32 causal=end window=37 kv_type=q8_0", page, 3, 70));
  }
  return cases;
}

std::vector<AttentionCase> attention_block_sparse_cases() {
  std::vector<AttentionCase> cases;
  const auto add = [&](const std::string& rest, int64_t kept, compiler::Sizes at) {
    cases.push_back(attention_case("attention_block_sparse", rest, at));
    cases.back().line += fmt::format(" kept={}", kept);
    cases.back().sizes["kept"] = kept;
  };
  for (const char* causal : {"none", "start", "end"}) {
    const std::string line = fmt::format("heads=2 kv_heads=1 dim=24 block=16 causal={}", causal);
    for (const int64_t tokens : {1, 15, 16, 17, 71})
      for (const int64_t context : {1, 16, 33, 130}) add(line, 9, sizes(tokens, context));
    add(line, 1, sizes(40, 90, 2));
    add(line, 9, sizes(40, 70, 3));  // behind a cache the diagonal ends just before a block does
    add(line + " window=5", 9, sizes(71, 130));
    add(line + " window=40", 9, sizes(71, 71));
  }
  for (const char* variant :
       {"softcap=3", "scale=2", "sinks=true causal=end lse=true", "lse=true causal=end window=30",
        "type=f16", "type=bf16 causal=end", "type=f16 kv_type=bf16 out=f32", "kv_type=f16",
        "value_dim=5", "value_dim=80 causal=end", "block=32 causal=end", "block=48 causal=end",
        "block=64 causal=end", "block=80", "block=128 causal=end", "block=192 causal=end"}) {
    const std::string line = fmt::format("heads=4 kv_heads=2 dim=20 {}", variant);
    add(line, 5, sizes(230, 250, variant == std::string("scale=2") ? 2 : 1));
  }
  for (const int64_t dim : {1, 7, 64, 72, 80, 128, 256})
    add(fmt::format("heads=1 dim={} causal=end block=32", dim), 4, sizes(40, 100));
  return cases;
}

std::vector<AttentionCase> attention_router_cases() {
  std::vector<AttentionCase> cases;
  const auto add = [&](const std::string& rest, const compiler::Sizes& at) {
    cases.push_back(attention_case("attention_router", rest, at));
  };
  for (const int64_t tokens : {1, 15, 16, 17, 100})
    for (const int64_t context : {1, 16, 75})
      add("heads=2 dim=24 block=16", sizes(tokens, context));
  for (const char* variant : {"", "rank=1", "rank=7", "rank=16 type=f16", "rank=64", "rank=150",
                              "type=bf16", "block=7", "block=128 rank=5"}) {
    for (const char* heads : {"heads=3", "heads=4 kv_heads=2", "heads=5 kv_heads=1"})
      add(fmt::format("{} dim=20 {}", heads, variant), sizes(140, 150, 2));
  }
  for (const int64_t dim : {1, 7, 64, 72, 128})
    add(fmt::format("heads=2 kv_heads=1 dim={} block=32 rank=8", dim), sizes(70, 100));
  return cases;
}

std::vector<AttentionCase> attention_low_rank_cases() {
  std::vector<AttentionCase> cases;
  const auto add = [&](const std::string& rest, const compiler::Sizes& at) {
    cases.push_back(attention_case("attention_low_rank", rest, at));
  };
  for (const int64_t rank : {1, 7, 8, 19, 33}) {
    for (const int64_t context : {1, 9, 256, 531})
      add(fmt::format("heads=2 kv_heads=1 dim=19 rank={}", rank), sizes(1, context));
  }
  for (const char* variant :
       {"", "causal=end", "lengths=true", "lengths=true causal=end lse=true", "softcap=3",
        "sinks=true lse=true", "scale=0.2", "kv_type=f16 weight_type=bf16", "type=bf16 out=f32",
        "value_dim=5 value_rank=3", "value_dim=40 value_rank=17 out=f16"}) {
    for (const char* recent : {"", "recent=1", "recent=37", "recent=300 up=heads"}) {
      const std::string line =
          fmt::format("heads=6 kv_heads=2 dim=20 rank=9 {} {}", variant, recent);
      add(line, sizes(1, 300, 2));
      add(line, sizes(3, 40, 3));
    }
  }
  add("heads=8 kv_heads=1 dim=24 value_dim=16 rank=64 up=heads causal=end", sizes(2, 600));
  add("heads=4 kv_heads=2 dim=128 rank=32 recent=64 causal=end", sizes(16, 2100));
  return cases;
}

std::vector<AttentionCase> attention_token_sparse_cases() {
  std::vector<AttentionCase> cases;
  const auto add = [&](const std::string& rest, int64_t kept, compiler::Sizes at) {
    at["kept"] = kept;
    cases.push_back(
        attention_case("attention_token_sparse", fmt::format("{} kept={}", rest, kept), at));
  };
  for (const int64_t page : {1, 3, 16, 300}) {
    for (const int64_t context : {1, 15, 16, 17, 531})
      add(fmt::format("heads=2 kv_heads=1 dim=20 page={}", page), 7, sizes(1, context));
  }
  for (const char* variant :
       {"", "causal=end", "lengths=true", "lengths=true causal=end lse=true", "sinks=true lse=true",
        "scale=2", "kv_type=f16", "type=bf16 out=f32 causal=end", "value_dim=5", "page=1",
        "page=1 causal=end lengths=true"}) {
    for (const char* heads : {"heads=3", "heads=8 kv_heads=2"}) {
      const std::string line = fmt::format("{} dim=24 {}", heads, variant);
      add(line, 40, sizes(1, 900, 2));
      add(line, 5, sizes(5, 70, 3));
    }
  }
  add("heads=4 kv_heads=2 dim=128 causal=end", 70, sizes(2, 2100));
  add("heads=2 dim=7 page=1", 1, sizes(16, 3));
  const auto add_pages = [&](const std::string& line, int64_t tokens, int64_t pages) {
    cases.push_back({line, {{"batch", 2}, {"tokens", tokens}, {"pages", pages}}});
  };
  for (const int64_t pages : {1, 9, 100}) {
    for (const char* variant :
         {"heads=3 dim=20", "heads=6 kv_heads=2 dim=33 kv_type=f16", "heads=4 kv_heads=1 dim=128",
          "heads=4 kv_heads=2 dim=20 select=learned rank=7",
          "heads=2 dim=64 select=learned rank=16 type=bf16 kv_type=bf16 weight_type=f32"}) {
      for (const int64_t tokens : {1, 3}) {
        add_pages(
            fmt::format("attention_page_scores pages={} tokens={} {}", pages, tokens, variant),
            tokens, pages);
      }
    }
    for (const char* variant : {"dim=8 page=1", "kv_heads=2 dim=20", "kv_heads=3 dim=72 page=5",
                                "kv_heads=2 dim=128 type=f16", "dim=130 out=bf16"})
      add_pages(fmt::format("attention_page_bounds pages={} {}", pages, variant), 1, pages);
  }
  return cases;
}

std::vector<AttentionCase> attention_cases() {
  std::vector<AttentionCase> cases;
  for (const auto& some :
       {attention_prefill_cases(), attention_packed_cases(), attention_decode_cases(),
        attention_paged_cases(), attention_block_cases(), attention_block_sparse_cases(),
        attention_router_cases(), attention_low_rank_cases(), attention_token_sparse_cases()})
    cases.insert(cases.end(), some.begin(), some.end());
  return cases;
}

}  // namespace lathe::tests

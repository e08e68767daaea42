// Thousands of damaged texts: each is refused at a place or still round-trips; none harms the
// process.
#include <algorithm>

#include "ir/graph/verify.h"
#include "tests/ir_graph/graph_testing.h"
#include "tests/ir_graph/sample_graphs.h"

namespace lathe::ir::graph {
namespace {

constexpr int kTextsPerSeed = 2000;
constexpr std::string_view kAlphabet = "%()[]{},:=*->#_ \n\t0123456789.eE+-abfgnx\x00\x7f\xff";

class Mutator {
 public:
  explicit Mutator(unsigned seed) : engine_(seed) {}

  std::string mutate(std::string text) {
    for (size_t i = 1 + below(4); i > 0; --i) step(text);
    return text;
  }

 private:
  size_t below(size_t n) { return n == 0 ? 0 : engine_() % n; }

  void step(std::string& text) {
    const size_t at = below(text.size() + 1);
    switch (below(6)) {
      case 0: text.insert(at, 1, kAlphabet[below(kAlphabet.size())]); return;
      case 1: text.erase(at, 1 + below(3)); return;
      case 2:
        if (at < text.size()) text[at] = kAlphabet[below(kAlphabet.size())];
        return;
      case 3: text.resize(at); return;
      case 4: {  // repeat a piece elsewhere
        const std::string piece = text.substr(at, 1 + below(30));
        text.insert(below(text.size() + 1), piece);
        return;
      }
      default: {  // another number
        const size_t digit = text.find_first_of("0123456789", at);
        if (digit != std::string::npos) text.replace(digit, 1, std::to_string(engine_()));
        return;
      }
    }
  }

  std::mt19937 engine_;
};

void check(const std::string& text) {
  const auto graph = parse(text);
  if (!graph) {
    int line = 0;
    int column = 0;
    ASSERT_EQ(std::sscanf(graph.error().message.c_str(), "%d:%d: ", &line, &column), 2)
        << graph.error().message;
    ASSERT_GE(line, 1);
    ASSERT_GE(column, 1);
    return;
  }
  ASSERT_TRUE(verify(*graph).has_value()) << text;
  const std::string printed = print(*graph, PrintTypes::yes);
  const auto again = parse(printed);
  ASSERT_TRUE(again.has_value()) << printed << again.error().message;
  ASSERT_EQ(print(*again, PrintTypes::yes), printed);
}

TEST(ParserMutation, DamagedTextsAreRefusedOrRoundTrip) {
  for (size_t sample = 0; sample < kSampleGraphs.size(); ++sample) {
    Mutator mutator(static_cast<unsigned>(1000 + sample));
    for (int i = 0; i < kTextsPerSeed && !HasFatalFailure(); ++i) {
      check(mutator.mutate(std::string(kSampleGraphs[sample])));
    }
  }
}

TEST(ParserMutation, EveryPrefixIsRefusedAtAPlace) {
  for (const std::string_view sample : kSampleGraphs) {
    for (size_t length = 0; length < sample.rfind('}') && !HasFatalFailure(); ++length) {
      const std::string text(sample.substr(0, length));
      ASSERT_FALSE(parse(text).has_value()) << text;
      check(text);
    }
  }
}

}  // namespace
}  // namespace lathe::ir::graph

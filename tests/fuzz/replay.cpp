// Runs a fuzz target on its seeds and on fixed mutations of them: what every test run can afford.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutations = 20000;

std::vector<std::string> read_seeds() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(LATHE_FUZZ_SEEDS)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

/// One change of the kinds that break parsers: a byte, a hole, a repetition, a piece of another
/// seed.
void mutate(std::string& text, const std::vector<std::string>& seeds, std::mt19937& random) {
  static constexpr char kTelling[] = {'\0', '\n', '%', '(', ')', '[', ']', '{', '=',    ',',
                                      ':',  '.',  '-', '0', '9', 'e', '"', ' ', '\x80', '\xff'};
  const auto below = [&](size_t n) { return n == 0 ? 0 : static_cast<size_t>(random() % n); };
  const size_t at = below(text.size() + 1);
  const size_t count = 1 + below(std::min<size_t>(text.size() - at, 16));
  switch (random() % 5) {
    case 0: text.insert(at, 1, kTelling[below(std::size(kTelling))]); break;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(random());
      break;
    case 2: text.erase(at, count); break;
    case 3: text.insert(below(text.size() + 1), text.substr(at, count)); break;
    default: {
      const std::string& other = seeds[below(seeds.size())];
      text.insert(at, other.substr(below(other.size()), 1 + below(32)));
    }
  }
}

TEST(Replay, SeedsAndFixedMutations) {
  const std::vector<std::string> seeds = read_seeds();
  ASSERT_FALSE(seeds.empty()) << "no seeds in " << LATHE_FUZZ_SEEDS;
  const auto run = [](const std::string& text) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  for (const std::string& seed : seeds) run(seed);
  std::mt19937 random(1);
  for (int i = 0; i < kMutations; ++i) {
    std::string text = seeds[static_cast<size_t>(i) % seeds.size()];
    for (uint32_t changes = 1 + random() % 4; changes > 0; --changes) mutate(text, seeds, random);
    run(text);
  }
}

}  // namespace

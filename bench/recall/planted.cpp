// Planting blocks that means hide and bounds overrate.
#include "bench/recall/planted.h"

#include <algorithm>
#include <cmath>

#include "compiler/check_inputs.h"

namespace lathe::bench {
namespace {

constexpr double kAsked = 9, kAnswer = 10, kNoise = 0.1;
constexpr double kOfQueries = 5;  // in the dimensions that tell nothing
constexpr double kLeastRepelled = 5, kMostRepelled = 25, kMostInflated = 20;

class Planter {
 public:
  Planter(const PlantedSizes& sizes, uint64_t seed)
      : s_(sizes), random_(seed), others_((s_.dim - s_.hidden) / 2) {
    planted_.sizes = sizes;
    planted_.q.resize(static_cast<size_t>(s_.tokens * s_.heads * s_.dim));
    planted_.k.resize(static_cast<size_t>(s_.tokens * s_.kv_heads * s_.dim));
  }

  Planted run() && {
    for (int64_t head = 0; head < s_.kv_heads; ++head) {
      plant_keys(head);
      plant_queries(head);
    }
    return std::move(planted_);
  }

 private:
  void plant_keys(int64_t head) {
    const double each = 1 / std::sqrt(static_cast<double>(others_));
    codes_.clear();
    for (int64_t first = 0; first < s_.tokens; first += s_.block) {
      codes_.push_back(unit_vector());
      const auto answering =
          first + static_cast<int64_t>(random_.below(static_cast<uint64_t>(s_.block)));
      const double repelled = kLeastRepelled + (kMostRepelled - kLeastRepelled) * random_.uniform();
      const double inflated = kMostInflated * random_.uniform();
      for (int64_t t = first; t < std::min(first + s_.block, s_.tokens); ++t) {
        float* key = planted_.k.data() + (t * s_.kv_heads + head) * s_.dim;
        const double sign = random_.below(2) == 0 ? -1 : 1;
        for (int64_t d = 0; d < s_.dim; ++d) {
          double value = kNoise * random_.normal();
          if (d < s_.hidden) {
            if (t == answering) value = kAnswer * codes_.back()[static_cast<size_t>(d)];
          } else if (d < s_.hidden + others_) {
            if (t != answering) value -= repelled * each;
          } else {
            value += sign * inflated * each;
          }
          key[d] = static_cast<float>(value);
        }
      }
    }
  }

  void plant_queries(int64_t head) {
    const int64_t group = s_.heads / s_.kv_heads;
    const double each = kOfQueries / std::sqrt(static_cast<double>(others_));
    size_t wanted = 0;
    for (int64_t t = 0; t < s_.tokens; ++t) {
      // Of the blocks before its own, but neither the first nor the last of them.
      const auto own = static_cast<uint64_t>(t / s_.block);
      if (t % s_.alike == 0) wanted = own < 3 ? 0 : 1 + random_.below(own - 2);
      for (int64_t h = head * group; h < (head + 1) * group; ++h) {
        float* query = planted_.q.data() + (t * s_.heads + h) * s_.dim;
        for (int64_t d = 0; d < s_.dim; ++d) {
          double value = each;
          if (d < s_.hidden) {
            value = kAsked * codes_[wanted][static_cast<size_t>(d)];
          } else if (d >= s_.hidden + others_ && d % 2 == 1) {
            value = -each;
          }
          query[d] = static_cast<float>(value + kNoise * random_.normal());
        }
      }
    }
  }

  std::vector<double> unit_vector() {
    std::vector<double> vector;
    double squares = 0;
    for (int64_t d = 0; d < s_.hidden; ++d) {
      vector.push_back(random_.normal());
      squares += vector.back() * vector.back();
    }
    for (double& value : vector) value /= std::sqrt(squares);
    return vector;
  }

  const PlantedSizes& s_;
  compiler::Random random_;
  int64_t others_;  ///< dimensions that repel, and as many that cancel
  Planted planted_;
  std::vector<std::vector<double>> codes_;  ///< of the blocks of one head
};

}  // namespace

Planted plant(const PlantedSizes& sizes, uint64_t seed) { return Planter(sizes, seed).run(); }

}  // namespace lathe::bench

// Made-up records for the store's tests.
#pragma once

#include <string>

#include "store/store.h"

namespace lathe::store::tests {

inline Key sample_key(const std::string& host, int width = 2048) {
  Key key;
  key.problem = "rms_norm width=" + std::to_string(width) + " type=f32";
  key.family = "rms_norm";
  key.family_revision = 1;
  key.compiler_version = "0.1.0";
  key.host = host;
  key.target = "avx2";
  key.threads = 4;
  key.cache = "cold";
  key.at = "rows=512";
  return key;
}

inline Trial sample_trial(int number = 0) {
  Trial trial;
  trial.schedule = "accumulators=" + std::to_string(number);
  trial.batches_ns = {1000.5F, 990.25F, 1003.0F};
  trial.median_ns = 1000.5;
  trial.min_ns = 990.25;
  trial.check = "oracle on 17 rows: ok";
  trial.session = "session-1";
  return trial;
}

inline Winner sample_winner() {
  Winner winner;
  winner.schedule = "accumulators=4";
  winner.tuned_ns = 900;
  winner.default_ns = 1350;
  winner.runner_up = "accumulators=8";
  winner.runner_up_ns = 910;
  winner.speedup = 1.5;
  winner.gflops = 12.5;
  winner.gbytes_per_s = 20.25;
  winner.roof_gflops = 100;
  winner.roof_gbytes_per_s = 25;
  winner.roofline_fraction = 0.81;
  winner.bound = "memory";
  winner.confidence = 0.95;
  winner.verified = "interpreted, 256 outputs at full size";
  winner.why = "fastest of 12";
  winner.trials = 12;
  winner.session = "session-1";
  return winner;
}

/// Records the host that samples are made for; its id, empty when that failed.
inline std::string sample_host(Store& store, const std::string& identity = "x86_64 isa=fff l2=1") {
  auto id = store.record_host("cpu", identity, "Example CPU");
  return id ? *id : "";
}

}  // namespace lathe::store::tests

// The probes that the kernel instruction set was measured with: each is a program, its data in L1,
// and a proof that what it computes is right.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/probes/native.h"

namespace lathe::bench {

/// Something to time: `run` does `work` units (FMA instructions, blocks of 32 weights, vectors).
struct Timed {
  std::string name;
  std::function<void()> run;
  double work = 0;
};

/// `check` runs the program once and compares it with a reference in double precision.
struct Probe {
  Timed timed;
  std::function<Status()> check;
};

/// Loops of independent FMA chains in registers, several lengths; work: FMA instructions.
Result<std::vector<Timed>> fma_loops(const ir::Target& target);

/// One 6 x 2-vector tile of a matrix product over packed panels; work: FMA instructions.
Result<Probe> multiply_probe(const ir::Target& target);

/// Eight (one a lane) rows of q4_0 weights times one q8 column; work: blocks of 32 weights.
Result<Probe> q4_dot_probe(const ir::Target& target);

/// e^x over an array; work: vectors. `nonpositive`: the form for x <= 0.
Result<Probe> exp_probe(const ir::Target& target, bool nonpositive);

}  // namespace lathe::bench

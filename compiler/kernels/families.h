// The families of this folder, one function each; catalogue.cpp puts them in order.
#pragma once

#include "compiler/family.h"

namespace lathe::compiler::kernels {

const Family& rms_norm();
const Family& layer_norm();
const Family& normalize();
const Family& softmax();
const Family& gelu();
const Family& silu();
const Family& relu();
const Family& swiglu();
const Family& rope();
const Family& elementwise();
const Family& embedding();
const Family& quantize();
const Family& linear();
const Family& batched_matmul();

}  // namespace lathe::compiler::kernels

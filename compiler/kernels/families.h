// The families of this folder, one function each; catalogue.cpp puts them in order.
#pragma once

#include "compiler/family.h"

namespace lathe::compiler::kernels {

const Family& rms_norm();
const Family& gelu();
const Family& silu();
const Family& relu();
const Family& swiglu();
const Family& elementwise();

}  // namespace lathe::compiler::kernels

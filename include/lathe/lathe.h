// Everything a C++ user of Lathe needs.
#pragma once

#include <lathe/backends.h>
#include <lathe/error.h>
#include <lathe/graph.h>
#include <lathe/library.h>
#include <lathe/low_rank.h>
#include <lathe/ops.h>
#include <lathe/packed_weight.h>
#include <lathe/page_codes.h>
#include <lathe/routing.h>
#include <lathe/tensor_view.h>
#include <lathe/token_sparse.h>

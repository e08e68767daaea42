// Handles of the C interface that several of its files know.
#pragma once

#include <lathe/c.h>
#include <lathe/library.h>

struct lathe_library {
  lathe::Library library;
};

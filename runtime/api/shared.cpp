// The shared library's own translation unit; what it exports is the C interface of <lathe/c.h>.
#include <lathe/c.h>

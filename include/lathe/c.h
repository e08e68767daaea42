/* The C interface: opaque handles and status codes over the same kernels as <lathe/lathe.h>. */
#ifndef LATHE_C_H
#define LATHE_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0 is success; the others are lathe::ErrorCode, in the same order. */
typedef enum lathe_status {
  LATHE_OK = 0,
  LATHE_INVALID_ARGUMENT = 1,
  LATHE_PARSE_ERROR = 2,
  LATHE_VERIFY_ERROR = 3,
  LATHE_NOT_FOUND = 4,
  LATHE_UNSUPPORTED = 5,
  LATHE_REJECTED = 6,
  LATHE_IO_ERROR = 7,
  LATHE_CORRUPT = 8,
  LATHE_MISMATCH = 9,
  LATHE_INTERRUPTED = 10,
  LATHE_RESOURCE_EXHAUSTED = 11,
  LATHE_INTERNAL = 12
} lathe_status;

/* The numbers of lathe::DataType. */
typedef enum lathe_type {
  LATHE_F32 = 0,
  LATHE_F16 = 1,
  LATHE_BF16 = 2,
  LATHE_BOOL = 3,
  LATHE_I8 = 4,
  LATHE_U8 = 5,
  LATHE_I16 = 6,
  LATHE_U16 = 7,
  LATHE_I32 = 8,
  LATHE_U32 = 9,
  LATHE_I64 = 10,
  LATHE_U64 = 11,
  LATHE_Q8_0 = 12,
  LATHE_Q4_0 = 13,
  LATHE_Q4_K = 14
} lathe_type;

typedef enum lathe_match {
  LATHE_MATCH_EXACT = 0,
  LATHE_MATCH_NEAR = 1,
  LATHE_MATCH_OTHER_HOST = 2,
  LATHE_MATCH_DEFAULT = 3
} lathe_match;

#define LATHE_MAX_RANK 6

/* A tensor owned by the caller. Strides are in elements; NULL stands for contiguous row-major. */
typedef struct lathe_view {
  void* data;
  lathe_type type;
  int32_t rank;
  const int64_t* shape;
  const int64_t* strides;
} lathe_view;

typedef struct lathe_library lathe_library;
typedef struct lathe_kernel lathe_kernel;
typedef struct lathe_weight lathe_weight;

/* Every function is safe to call from several threads at once. On failure the calling thread's
   lathe_last_error() says what was found, what was expected and what to do. */

/* Opens the library. target: NULL or "" for LATHE_TARGET or the widest this CPU runs, "interpret"
   to do without machine code; threads: 0 for the physical cores; store: NULL or "" for the user's
   cache folder, "none" for no store. A store that cannot be used is no failure: kernels have their
   default schedules then, and lathe_library_store_note says why. */
lathe_status lathe_library_open(const char* target, int32_t threads, const char* store,
                                lathe_library** library);
/* Kernels fetched from it stay valid. NULL is allowed. */
void lathe_library_close(lathe_library* library);

/* Why the store is not used, and what to do: copies the text, ended by a 0 and cut to `size` bytes
   with it, to `buffer` (NULL is allowed where size is 0), and returns the length of the whole
   without the 0, as snprintf does: one that is `size` or more did not fit. "" and 0 where the store
   is used, where none was asked for, where the cache folder has none yet, and for a library that is
   NULL. The text stays the same as long as the library is open, so it may be asked for from any
   thread. */
size_t lathe_library_store_note(const lathe_library* library, char* buffer, size_t size);

/* The kernel of a problem line such as "rms_norm rows=512 width=2048" (docs/kernels.md lists them).
 */
lathe_status lathe_library_fetch(lathe_library* library, const char* problem,
                                 lathe_kernel** kernel);
void lathe_kernel_release(lathe_kernel* kernel);

/* How a cache of keys and values lies: tokens before heads, or heads before tokens. The numbers of
   lathe::Attention::KvLayout, the words of the problem parameter kv_layout. */
typedef enum lathe_kv_layout { LATHE_KV_NHD = 0, LATHE_KV_HND = 1 } lathe_kv_layout;

/* How the cache should lie that kernels of the problem line read, such as "attention_decode
   context=4096 heads=16 kv_heads=8 dim=128": as the tuner chose for such a cache on this host, else
   LATHE_KV_NHD. Kernels take any strides; those of a line with the kv_layout of the cache have the
   schedule tuned for it. */
lathe_status lathe_library_kv_layout(lathe_library* library, const char* problem,
                                     lathe_kv_layout* layout);

/* Runs on the views, inputs then outputs, in the order that docs/kernels.md gives. */
lathe_status lathe_kernel_run(const lathe_kernel* kernel, const lathe_view* inputs,
                              size_t input_count, const lathe_view* outputs, size_t output_count);

/* The same for a `linear` kernel and a weight packed for it: LATHE_MISMATCH where the weight has
   another layout than the kernel reads, of which the shapes of its parts alone do not tell. */
lathe_status lathe_kernel_run_packed(const lathe_kernel* kernel, const lathe_view* x,
                                     const lathe_weight* weight, const lathe_view* epilogue_inputs,
                                     size_t epilogue_count, const lathe_view* y);

lathe_match lathe_kernel_match(const lathe_kernel* kernel);
/* The canonical problem line; lives as long as the kernel. */
const char* lathe_kernel_problem(const lathe_kernel* kernel);

/* A constant weight of `linear` kernels, packed with the library's threads: a matrix [n, k], or
   with pair != 0 two in one, [2n, k]. panel: columns side by side, 0 for what the tuner chose for
   this weight on this host or what is usually fastest on the library's target, 16 for what suits
   every target. The view's memory is not needed afterwards; the
   weight outlives its library. */
lathe_status lathe_weight_pack(lathe_library* library, const lathe_view* matrix, int32_t pair,
                               int32_t panel, lathe_weight** weight);
/* Likewise, packed in 8-bit codes of one scale a row. scales: NULL for a matrix of f32, f16 or
   bf16, which is quantised (each row to codes x / scale rounded to nearest even, its scale being
   max|x| / 127); for one of i8 its scales, f32 [n] or with pair != 0 [2n]. */
lathe_status lathe_weight_pack_i8(lathe_library* library, const lathe_view* matrix,
                                  const lathe_view* scales, int32_t pair, int32_t panel,
                                  lathe_weight** weight);
/* One that lathe_weight_save wrote, mapped and shared. verify: 1 reads it once and compares its
   checksum (a flipped bit is a wrong answer that nothing else would notice), 0 does not. */
lathe_status lathe_weight_map(lathe_library* library, const char* path, int32_t verify,
                              lathe_weight** weight);
lathe_status lathe_weight_save(const lathe_weight* weight, const char* path);
/* NULL is allowed. */
void lathe_weight_release(lathe_weight* weight);

/* The operands that stand for it in lathe_kernel_run, in order, which believes that their layout is
 * the kernel's (lathe_kernel_run_packed compares them); these and the texts live as long as the
 * weight.
 */
const lathe_view* lathe_weight_parts(const lathe_weight* weight, size_t* count);
/* "panels16 bf16 4096x2048" */
const char* lathe_weight_layout(const lathe_weight* weight);
/* What a problem line says of it: "n=4096 k=2048 weight=bf16 panel=16". */
const char* lathe_weight_parameters(const lathe_weight* weight);
int64_t lathe_weight_bytes(const lathe_weight* weight);

/* The calling thread's last error message, "" if none; valid until its next call. */
const char* lathe_last_error(void);

#ifdef __cplusplus
}
#endif

#endif

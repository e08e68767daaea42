"""ggml's matrix product through the ggml-python package of PyPI, as llama.cpp would call it: weights lie in the
buffer type that ggml repacks them into where it has one for them, threads are kept."""

import ctypes
import weakref

import ggml

TYPES = {"f32": ggml.GGML_TYPE_F32, "f16": ggml.GGML_TYPE_F16, "bf16": ggml.GGML_TYPE_BF16,
         "q8_0": ggml.GGML_TYPE_Q8_0, "q4_0": ggml.GGML_TYPE_Q4_0, "q4_K": ggml.GGML_TYPE_Q4_K}


@ggml.ggml_log_callback
def quiet(level, text, data):
    """ggml reports every tensor that it repacks."""


ggml.ggml_log_set(quiet, None)


class Backend:
    """ggml's CPU backend with a fixed number of threads."""

    def __init__(self, threads):
        self.handle = ggml.ggml_backend_cpu_init()
        ggml.ggml_backend_cpu_set_n_threads(self.handle, threads)
        parameters = ggml.ggml_threadpool_params_default(threads)
        parameters.poll = 1  # about 2 ms; by default idle threads keep their core for 100 ms
        pool = ggml.ggml_threadpool_new(ctypes.byref(parameters))
        ggml.ggml_backend_cpu_set_threadpool(self.handle, pool)

    def _repacking_buffer_types(self):
        registry = ggml.ggml_backend_cpu_reg()
        address = ggml.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
        if not address:
            return
        listed = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)(
            ggml.ggml_backend_reg_dev_get(registry, 0))
        count = 0
        while listed and listed[count]:  # up to a null
            yield listed[count]
            count += 1

    def product(self, kind, data, x, y):
        """A call of y = x * transpose(w), w repacked where ggml has a way to. `data`: the bytes of w [n, k],
        which are copied (to `call.weight`, an address and a size); x [rows, k] and y [rows, n] are numpy arrays of f32, used where they lie."""
        (rows, k), n = x.shape, y.shape[1]
        device = ggml.ggml_backend_reg_dev_get(ggml.ggml_backend_cpu_reg(), 0)
        usual = ggml.ggml_backend_get_default_buffer_type(self.handle)
        for buffer_type in (*self._repacking_buffer_types(), usual):
            keep = self._context()
            weight = ggml.ggml_new_tensor_2d(keep, TYPES[kind], k, n)
            size = ggml.ggml_nbytes(weight) + 4096
            buffer = ggml.ggml_backend_buft_alloc_buffer(buffer_type, size)
            base = ggml.ggml_backend_buffer_get_base(buffer)
            ggml.ggml_backend_tensor_alloc(buffer, weight, base)
            ggml.ggml_backend_buffer_set_usage(buffer, ggml.GGML_BACKEND_BUFFER_USAGE_WEIGHTS)
            context = self._context()
            rows_in = ggml.ggml_new_tensor_2d(context, ggml.GGML_TYPE_F32, k, rows)
            rows_in.contents.data = x.ctypes.data
            result = ggml.ggml_mul_mat(context, weight, rows_in)
            result.contents.data = y.ctypes.data
            if buffer_type != usual and not ggml.ggml_backend_dev_supports_op(device, result):
                self._free(buffer, keep, context)
                continue
            ggml.ggml_backend_tensor_set(weight, data.ctypes.data_as(ctypes.c_void_p), 0, data.nbytes)
            graph = ggml.ggml_new_graph(context)
            ggml.ggml_build_forward_expand(graph, result)

            def call():
                if ggml.ggml_backend_graph_compute(self.handle, graph) != 0:
                    raise RuntimeError("ggml refused the product")

            call.keep = (data, x, y)
            call.weight = (base, size)
            weakref.finalize(call, self._free, buffer, keep, context)
            return call
        raise RuntimeError(f"ggml has no product with weights of {kind}")

    @staticmethod
    def _free(buffer, *contexts):
        ggml.ggml_backend_buffer_free(buffer)
        for context in contexts:
            ggml.ggml_free(context)

    @staticmethod
    def _context():
        return ggml.ggml_init(ggml.ggml_init_params(mem_size=1 << 20, mem_buffer=None, no_alloc=True))

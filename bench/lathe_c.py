"""The C interface through ctypes, for benchmarks: kernels called on memory that PyTorch owns."""

import ctypes
import pathlib

F32, F16, BF16, I32, I64, Q8_0, Q4_0, Q4_K = 0, 1, 2, 8, 10, 12, 13, 14


class View(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("type", ctypes.c_int),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
    ]


def matrix_view(pointer, kind, shape):
    return View(pointer, kind, len(shape), (ctypes.c_int64 * len(shape))(*shape), None)


class Library:
    """One library with a fixed number of threads."""

    def __init__(self, path: pathlib.Path, threads: int, target: str = "", store: str = ""):
        self._c = ctypes.CDLL(str(path))
        self._c.lathe_last_error.restype = ctypes.c_char_p
        self._c.lathe_kernel_problem.restype = ctypes.c_char_p
        self._c.lathe_kernel_run.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]
        self._c.lathe_weight_layout.restype = ctypes.c_char_p
        self._c.lathe_weight_parameters.restype = ctypes.c_char_p
        self._c.lathe_weight_parts.restype = ctypes.POINTER(View)
        self._c.lathe_weight_bytes.restype = ctypes.c_int64
        self._handle = ctypes.c_void_p()
        self._check(self._c.lathe_library_open(
            target.encode(), threads, store.encode(), ctypes.byref(self._handle)))

    def _check(self, status: int) -> None:
        if status != 0:
            raise RuntimeError(self._c.lathe_last_error().decode())

    def fetch(self, problem: str) -> "Kernel":
        handle = ctypes.c_void_p()
        self._check(self._c.lathe_library_fetch(
            self._handle, problem.encode(), ctypes.byref(handle)))
        return Kernel(self, handle)

    def pack(self, pointer: int, kind: int, shape, pair: bool = False, panel: int = 0) -> "Weight":
        """A row-major matrix [n, k] (of a pair [2n, k]) as a packed weight of its own memory."""
        view, handle = matrix_view(pointer, kind, shape), ctypes.c_void_p()
        self._check(self._c.lathe_weight_pack(
            self._handle, ctypes.byref(view), int(pair), panel, ctypes.byref(handle)))
        return Weight(self, handle)

    def pack_i8(self, pointer: int, kind: int, shape, pair: bool = False, panel: int = 0) -> "Weight":
        """Likewise, a matrix of floats quantised to 8-bit codes with one scale a row."""
        view, handle = matrix_view(pointer, kind, shape), ctypes.c_void_p()
        self._check(self._c.lathe_weight_pack_i8(
            self._handle, ctypes.byref(view), None, int(pair), panel, ctypes.byref(handle)))
        return Weight(self, handle)

    def map(self, path: pathlib.Path, verify: bool = True) -> "Weight":
        handle = ctypes.c_void_p()
        self._check(self._c.lathe_weight_map(
            self._handle, str(path).encode(), int(verify), ctypes.byref(handle)))
        return Weight(self, handle)


class Weight:
    """A packed weight. `parts` are (pointer, type, shape) triples, as Kernel.bind takes them."""

    def __init__(self, library: Library, handle: ctypes.c_void_p):
        self._library = library
        self._handle = handle
        c = library._c
        self.layout = c.lathe_weight_layout(handle).decode()
        self.parameters = c.lathe_weight_parameters(handle).decode()
        self.bytes = c.lathe_weight_bytes(handle)
        count = ctypes.c_size_t()
        views = c.lathe_weight_parts(handle, ctypes.byref(count))
        self.parts = [(views[i].data, views[i].type, views[i].shape[:views[i].rank])
                      for i in range(count.value)]

    def save(self, path: pathlib.Path) -> None:
        self._library._check(self._library._c.lathe_weight_save(self._handle, str(path).encode()))

    def __del__(self):
        self._library._c.lathe_weight_release(self._handle)


class Kernel:
    """A kernel; bind() prepares a call so that timing it times nothing else."""

    MATCH = ["exact", "near", "other_host", "default"]

    def __init__(self, library: Library, handle: ctypes.c_void_p):
        self._library = library
        self._handle = handle
        self.match = self.MATCH[library._c.lathe_kernel_match(handle)]
        self.problem = library._c.lathe_kernel_problem(handle).decode()

    def bind(self, inputs, outputs):
        """A function that runs the kernel on these (pointer, type, shape) triples."""
        return self.bind_views([matrix_view(*operand) for operand in inputs],
                               [matrix_view(*operand) for operand in outputs])

    def bind_views(self, inputs, outputs):
        """The same on views, which may have strides."""
        keep = [inputs, outputs]

        def views(operands):
            return (View * len(operands))(*operands)

        run = self._library._c.lathe_kernel_run
        handle, ins, outs = self._handle, views(inputs), views(outputs)
        n_in, n_out = len(inputs), len(outputs)

        def call():
            if run(handle, ins, n_in, outs, n_out) != 0:
                raise RuntimeError(self._library._c.lathe_last_error().decode())

        call.keep = keep
        return call

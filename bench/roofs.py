"""What a benchmark's calls are held against, and what makes their memory cold: the loops of `lathe bench`."""

import contextlib
import ctypes
import dataclasses

PASS_BYTES = 8 << 20  # what the calls of one pass read at least, where memory allows it


@dataclasses.dataclass
class Contender:
    name: str
    calls: list     # one for each copy of the weight
    spans: list     # the (address, bytes) that these read
    result: object = None  # a function that gives the y of the last call, to be checked
    waker: object = None   # a call on a copy that is not timed: brings sleeping threads back


def contender(name, calls, spans, threads, result=None):
    """With several threads the last copy only wakes them."""
    if threads == 1:
        return Contender(name, calls, spans, result)
    return Contender(name, calls[:-1], spans[:-1], result, calls[-1])


class Roofs:
    """How fast this machine multiplies and reads, by the loops of `lathe bench`, and what makes memory cold."""

    def __init__(self, library):
        self._c = ctypes.CDLL(str(library.parent / "liblathe_bench_roofs.so"))
        self._c.lathe_bench_peak.restype = ctypes.c_double
        self._c.lathe_bench_peak.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_double]
        self._c.lathe_bench_reader_open.restype = ctypes.c_void_p
        self._c.lathe_bench_reader_open.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64]
        self._c.lathe_bench_reader_read.restype = ctypes.c_int64
        self._c.lathe_bench_reader_read.argtypes = [
            ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_int64]
        self._c.lathe_bench_make_cold.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        self._c.lathe_bench_reader_close.argtypes = [ctypes.c_void_p]
        self._c.lathe_bench_spare_memory.restype = ctypes.c_int64

    def peak(self, target, threads):
        """GFLOP/s right now."""
        peak = self._c.lathe_bench_peak(target.encode(), threads, 0.1)
        if peak == 0:
            raise SystemExit("the peak of this machine could not be measured")
        return peak

    def spare(self):
        """Bytes that further copies of a weight may take."""
        return self._c.lathe_bench_spare_memory()

    @contextlib.contextmanager
    def reader(self, target, threads):
        """(make_cold, ways): makes a list of (address, bytes) cold, or with none the reader's memory; and a function
        from the bytes of a call to contenders that read as many in each of four ways."""
        reader = self._c.lathe_bench_reader_open(target.encode(), threads, self.spare())
        if not reader:
            raise SystemExit("no memory to measure its bandwidth with")
        read = self._c.lathe_bench_reader_read

        def make_cold(spans):
            addresses = (ctypes.c_void_p * len(spans))(*(address for address, _ in spans))
            sizes = (ctypes.c_int64 * len(spans))(*(size for _, size in spans))
            self._c.lathe_bench_make_cold(reader, addresses, sizes, len(spans))

        def ways(size):
            parts = max(1, round(self.spare() / size))
            timed = list(range(parts))[:max(1, PASS_BYTES // size)]
            return [Contender(f"reading {size} bytes, way {way}",
                              [lambda way=way, part=part: read(reader, way, part, parts) for part in timed], [],
                              waker=(lambda way=way: read(reader, way, 0, 64)) if threads > 1 else None)
                    for way in range(4)], read(reader, 0, 0, parts)
        try:
            yield make_cold, ways
        finally:
            self._c.lathe_bench_reader_close(reader)

#!/usr/bin/env python3
"""Matrix products beside PyTorch, OpenBLAS, oneDNN, MKL and ggml: calls alternate in one process.

    ./dev bench matmul [--rows 1,16,128,512,2048] [--shapes 4096x2048,…] [--threads 1,0] [--seconds 1]
                       [--weights f32,bf16,f16,i8,q8_0,q4_0,q4_K] [--isa avx2|native] [--store FILE]
                       [--json FILE] [--svg FILE]

y = x * transpose(w) at Qwen3-VL-2B's shapes, N x K, x in f32. Weights are cold on every side: calls go round as
many copies as exceed four times the last cache. The multiply-add peak is measured in the same process before
each shape; read bandwidth by calls that take their turn among the kernels', each of as many bytes as the weight
has (a reader that had the machine for itself would find part of what it read before in the last cache). A
kernel's bound is the longer of its flops at the one and its compulsory bytes at the other, the weight's counted
as stored (of block formats, as in a GGUF file).

Peers: PyTorch f32 and bf16 (F.linear), numpy's OpenBLAS, oneDNN and MKL with weights that they packed
beforehand, and ggml with weights of the same type, repacked where it can. f32 is compared with the fastest that
multiplies f32 weights, f16 and bf16 with the fastest of all on a CPU's float types, block formats with ggml; i8
has no peer here. `of f32`: our f32 kernel's time over this one's, both from the same rounds.
--json adds to the figures in the file, so that a sweep can be run in parts; `--rows ""` runs nothing, for a picture
of what is there.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import json
import math
import pathlib

from helpers import ROOT, draw, geometric_mean, race, restart_with_environment, time_call

SHAPES = ["4096x2048", "2048x2048", "12288x2048", "2048x6144",
          "3072x1024", "1024x1024", "4096x1024", "1024x4096"]

# Threads that wake are put where the caller runs, and the system takes some milliseconds to move them to cores
# of their own: short batches would show the speed of one core.
SEVERAL_THREADS = {"pause": 0.01, "awake": 0.02, "least_batch": 0.02}
ONE_THREAD = {"least_batch": 2e-3}


@dataclasses.dataclass
class Contender:
    name: str
    call: object
    result: object = None  # a function that gives the y of the last call, to be checked


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1,16,128,512,2048", help="rows of x")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="NxK, comma-separated")
    parser.add_argument("--threads", default="1,0", help="thread counts; 0: all cores")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each case")
    parser.add_argument("--isa", default="avx2", choices=["avx2", "native"],
                        help="avx2: every side is held to AVX2; native: the widest each has")
    parser.add_argument("--store", default="", help="a store of tuned schedules (default: the user's)")
    parser.add_argument("--weights", default="f32,bf16,f16,i8,q8_0,q4_0,q4_K",
                        help="Lathe's weight types")
    parser.add_argument("--json", default="", help="add the figures to this file")
    parser.add_argument("--svg", default="", help="draw the gains over the best peer")
    parser.add_argument("--library", default=str(ROOT / "build/release/lib/liblathe.so"))
    return parser.parse_args()


class Roofs:
    """How fast this machine multiplies and reads, by the loops of `lathe bench`."""

    def __init__(self, library):
        self._c = ctypes.CDLL(str(library.parent / "liblathe_bench_roofs.so"))
        self._c.lathe_bench_peak.restype = ctypes.c_double
        self._c.lathe_bench_peak.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_double]
        self._c.lathe_bench_reader_open.restype = ctypes.c_void_p
        self._c.lathe_bench_reader_open.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64]
        self._c.lathe_bench_reader_read.restype = ctypes.c_int64
        self._c.lathe_bench_reader_read.argtypes = [
            ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_int64]
        self._c.lathe_bench_reader_close.argtypes = [ctypes.c_void_p]

    def peak(self, target, threads):
        """GFLOP/s right now."""
        peak = self._c.lathe_bench_peak(target.encode(), threads, 0.1)
        if peak == 0:
            raise SystemExit("the peak of this machine could not be measured")
        return peak

    @contextlib.contextmanager
    def reader(self, target, threads, size):
        """A function from a number of parts to calls, for the race, that each read the next part of memory."""
        reader = self._c.lathe_bench_reader_open(target.encode(), threads, size)
        if not reader:
            raise SystemExit("no memory to measure its bandwidth with")
        read = self._c.lathe_bench_reader_read

        def ways(parts):
            turn = Rotation(range(parts))
            return [lambda way=way: read(reader, way, turn.next(), parts) for way in range(4)]
        try:
            yield ways
        finally:
            self._c.lathe_bench_reader_close(reader)


class Rotation:
    """The copies of a weight, handed out in turn. Contenders that share copies share the turn."""

    def __init__(self, items):
        self._items = items
        self._next = 0

    def next(self):
        self._next = (self._next + 1) % len(self._items)
        return self._items[self._next]


def last_cache_bytes():
    sizes = pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((int(path.read_text().strip().rstrip("K")) * 1024 for path in sizes), default=32 << 20)


def peers(torch, numpy, x, weights):
    """Every peer of float weights that works here. `weights` are f32 copies, one of them used by each call in turn."""
    linear = torch.nn.functional.linear
    shared = Rotation([(w, w.numpy().T) for w in weights])
    state = {}
    found = []

    def keep(name, compute):
        def call():
            state[name] = compute()
        found.append(Contender(name, call, lambda: state[name]))

    keep("torch f32", lambda: linear(x, shared.next()[0]))
    x16 = x.bfloat16()
    bf16 = Rotation([w.bfloat16() for w in weights for _ in range(2)])
    keep("torch bf16", lambda: linear(x16, bf16.next()))
    rows, y = x.numpy(), numpy.zeros((x.shape[0], weights[0].shape[0]), numpy.float32)
    keep("OpenBLAS", lambda: torch.from_numpy(numpy.matmul(rows, shared.next()[1], out=y)))
    # Weights that the peer packed beforehand, as ours are.
    ops, count = torch.ops, x.shape[0]
    for name, prepare, run in [
            ("oneDNN", lambda w: ops.mkldnn._reorder_linear_weight(w, count),
             lambda w, packed: ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")),
            ("MKL", lambda w: ops.mkl._mkl_reorder_linear_weight(w, count),
             lambda w, packed: ops.mkl._mkl_linear(x, packed, w, None, count))]:
        try:
            turn = Rotation([(w, prepare(w)) for w in weights])
            run(*turn.next())
        except (AttributeError, RuntimeError):
            continue  # this PyTorch has no such library, or another interface to it
        keep(name, lambda turn=turn, run=run: run(*turn.next()))
    return found


# Bits a weight takes, of block formats with their scales; the elements of a block and how many f16 it begins with.
BITS = {"f32": 32, "bf16": 16, "f16": 16, "i8": 8, "q8_0": 8.5, "q4_0": 4.5, "q4_K": 4.5}
BLOCKS = {"q8_0": (32, 1), "q4_0": (32, 1), "q4_K": (256, 2)}


def stored(torch, numpy, kind, weight):
    """A matrix as it is stored in `kind`, as a numpy array of bytes, and its values as an f32 tensor. Blocks hold
    random bits with ordinary scales: what they would quantise makes no difference to the time."""
    if kind not in BLOCKS:
        cast = weight.to({"bf16": torch.bfloat16, "f16": torch.float16}.get(kind, torch.float32))
        return cast.view(torch.uint8).numpy(), cast.float()
    import gguf
    (n, k), (elements, scales) = weight.shape, BLOCKS[kind]
    size = int(elements * BITS[kind]) // 8
    blocks = numpy.random.default_rng(n + k).integers(0, 256, (n, k // elements, size), numpy.uint8)
    if kind == "q8_0":
        blocks[blocks == 0x80] = 0x81  # quantising gives no -128
    blocks[..., :2 * scales] = numpy.full(scales, 0.01, numpy.float16).view(numpy.uint8)
    blocks = blocks.reshape(n, -1)
    values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind.upper()])
    return blocks, torch.from_numpy(values)


def lathe(torch, library, lathe_c, x, kind, data, shape, copies):
    """Our kernel on as many copies of a stored weight."""
    codes = {"f32": lathe_c.F32, "bf16": lathe_c.BF16, "f16": lathe_c.F16, "i8": lathe_c.F32,
             "q8_0": lathe_c.Q8_0, "q4_0": lathe_c.Q4_0, "q4_K": lathe_c.Q4_K}
    pack = library.pack_i8 if kind == "i8" else library.pack
    packed = [pack(data.ctypes.data, codes[kind], list(shape)) for _ in range(copies)]
    kernel = library.fetch(f"linear rows={x.shape[0]} {packed[0].parameters}")
    y = torch.zeros(x.shape[0], shape[0])
    def triple(tensor): return tensor.data_ptr(), lathe_c.F32, list(tensor.shape)
    calls = Rotation([kernel.bind([triple(x), *weight.parts], [triple(y)]) for weight in packed])
    contender = Contender(f"Lathe {kind}", lambda: calls.next()(), lambda: y)
    contender.keep = packed
    return contender, kernel


def ggml_product(torch, backend, x, kind, data, shape, copies):
    y = torch.zeros(x.shape[0], shape[0])
    calls = Rotation([backend.product(kind, data, x.numpy(), y.numpy()) for _ in range(copies)])
    return Contender(f"ggml {kind}", lambda: calls.next()(), lambda: y)


def check(contender, expected):
    contender.call()
    found = contender.result().float()
    error = ((found - expected).abs().max() / expected.abs().max()).item()
    kind = contender.name.split()[-1]
    # ggml rounds x to the type of a 16-bit weight; with quantised weights both sides quantise x.
    limit = {"bf16": 2e-2, "f16": 2e-3}.get(kind, 3e-2 if BITS.get(kind, 32) < 16 else 2e-5)
    if not error <= limit:
        raise SystemExit(f"{contender.name}: the results differ by {error:.3g}")


def copies_of(kind, n, k):
    return max(2, math.ceil(4 * last_cache_bytes() / (n * k * BITS[kind] / 8)))


def interleaved(first, second):
    """Both lists in their order, spread evenly over one."""
    places = [((i + 0.5) / len(items), item) for items in (first, second) for i, item in enumerate(items)]
    return [item for _, item in sorted(places, key=lambda place: place[0])]


def measure(torch, numpy, arguments, library, backend, roofs, rows, n, k, threads, target):
    import lathe_c
    torch.manual_seed(rows + n + k)
    first = torch.randn(n, k)
    x = torch.randn(rows, k)
    kinds = [kind for kind in arguments.weights.split(",") if k % BLOCKS.get(kind, (1,))[0] == 0]
    ours, kernels, ggmls = {}, {}, {}
    for kind in kinds:
        data, values = stored(torch, numpy, kind, first)
        expected = torch.nn.functional.linear(x, values)
        count = copies_of(kind, n, k)
        ours[kind], kernels[kind] = lathe(torch, library, lathe_c, x, kind, data, (n, k), count)
        check(ours[kind], expected)
        if backend and kind != "i8":
            ggmls[kind] = ggml_product(torch, backend, x, kind, data, (n, k), count)
            check(ggmls[kind], expected)
    floats = [kind for kind in kinds if BITS[kind] >= 16]
    others = peers(torch, numpy, x, [first.clone() for _ in range(copies_of("f32", n, k))]) if floats else []
    expected = torch.nn.functional.linear(x, first)
    for contender in others:
        check(contender, expected)
    peak = roofs.peak(target, threads)
    # A peer far behind would take most of the time: its one call is figure enough.
    times = {c.name: time_call(c.call, 1) for c in (*others, *ggmls.values())}
    ahead = min((times[c.name] for c in others), default=math.inf)
    racing = [*ours.values(), *ggmls.values(), *(c for c in others if times[c.name] < 3 * ahead)]
    # Batches of several calls: what the contender before left in caches and TLBs is not this one's time.
    with roofs.reader(target, threads, 4 * last_cache_bytes()) as ways:
        reads = {kind: ways(copies_of(kind, n, k)) for kind in kinds}
        # Reads stand between kernels, or each would find in the last cache what the one before it read.
        readers = [call for kind in kinds for call in reads[kind]]
        calls = interleaved(readers, [c.call for c in racing])
        medians = dict(zip(calls, race(calls, arguments.seconds, least_batches=3,
                                       **(SEVERAL_THREADS if threads > 1 else ONE_THREAD))))
        rates = {kind: max(call() / medians[call] for call in reads[kind]) for kind in kinds}
    times.update({c.name: medians[c.call] for c in racing})
    figures = []
    for kind in kinds:
        against = {c.name: times[c.name] for c in others} if kind in floats else {}
        if kind in ggmls:
            against["ggml"] = times[f"ggml {kind}"]
        # A product of f32 weights is compared with peers that multiply f32 weights, too.
        rivals = [name for name in against if kind != "f32" or "bf16" not in name]
        best = min(rivals, key=against.get) if rivals else None
        ns, flops, rate = times[f"Lathe {kind}"], 2 * rows * n * k, rates[kind]
        moved = 4 * rows * (n + k) + n * k * BITS[kind] / 8
        bound = max(flops / peak, moved / rate)
        figures.append({
            "rows": rows, "n": n, "k": k, "threads": threads, "isa": arguments.isa, "weight": kind,
            "problem": kernels[kind].problem, "match": kernels[kind].match, "lathe_ns": ns, "gflops": flops / ns,
            "gbytes_per_s": moved / ns, "roof_gflops": peak, "roof_gbytes_per_s": rate,
            "of_roof": bound / ns, "bound": "compute" if flops / peak > moved / rate else "memory",
            "of_f32": times["Lathe f32"] / ns if "f32" in kinds else None,
            "peers_ns": against, "best_peer": best, "speedup": against[best] / ns if best else None,
            "name": f"{n} x {k}, {rows} {kind}"})
    return figures


def print_table(figures):
    names = list(dict.fromkeys(name for row in figures for name in row["peers_ns"]))
    print(f"{'N x K':<13}{'weight':<7}{'Lathe':>11}{'GFLOP/s':>9}{'GB/s':>7}{'of roof':>9}{'of f32':>8}"
          + "".join(f"{name:>12}" for name in names) + f"{'gain':>8}  match")
    for row in sorted(figures, key=lambda row: list(BITS).index(row["weight"])):
        print(f"{row['n']:>5} x {row['k']:<5}{row['weight']:<7}{row['lathe_ns'] / 1e3:>8.1f} µs{row['gflops']:>9.1f}"
              f"{row['gbytes_per_s']:>7.1f}{row['of_roof'] * 100:>7.0f} %"
              + (f"{row['of_f32']:>7.2f}x" if row["of_f32"] else " " * 8)
              + "".join(f"{row['peers_ns'][name] / 1e3:>9.1f} µs" if name in row["peers_ns"] else " " * 12
                        for name in names)
              + (f"{row['speedup']:>7.2f}x" if row["speedup"] else " " * 8) + f"  {row['match']}", flush=True)
    for kind in dict.fromkeys(row["weight"] for row in figures):
        of_kind = [row for row in figures if row["weight"] == kind]
        gains = [row["speedup"] for row in of_kind if row["speedup"]]
        ratios = [row["of_f32"] for row in of_kind if row["of_f32"]]
        print(f"geometric mean, {kind}: {geometric_mean([row['of_roof'] for row in of_kind]) * 100:.0f} % of the roof"
              + (f", {geometric_mean(ratios):.2f}x of our f32" if ratios and kind != "f32" else "")
              + (f", {geometric_mean(gains):.2f}x of the best peer" if gains else ""))


def merge(path, figures):
    """The file's figures with these in place of those of the same cases."""
    def key(row): return tuple(row[name] for name in ("rows", "n", "k", "threads", "isa", "weight"))
    kept = json.loads(path.read_text())["cases"] if path.exists() else []
    fresh = {key(row) for row in figures}
    return [row for row in kept if key(row) not in fresh] + figures


def main():
    arguments = parse_arguments()
    restart_with_environment(arguments, OPENBLAS_CORETYPE="Haswell")
    import numpy
    import threadpoolctl
    import torch

    import lathe_c

    torch.set_grad_enabled(False)
    all_threads = torch.get_num_threads()
    target = "avx2" if arguments.isa == "avx2" else ""
    roofs = Roofs(pathlib.Path(arguments.library))
    blas = next((p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"), {})
    try:
        import ggml_peer
    except ImportError:
        ggml_peer = None
        print("ggml-python is not installed: no figures of ggml")
    print(f"torch {torch.__version__}, numpy {numpy.__version__}, {blas.get('internal_api', 'no BLAS')} "
          f"{blas.get('version', '')} ({blas.get('architecture', '')})")
    figures = []
    for threads in sorted({int(text) or all_threads for text in arguments.threads.split(",")}):
        torch.set_num_threads(threads)
        library = lathe_c.Library(pathlib.Path(arguments.library), threads, target, arguments.store)
        backend = ggml_peer.Backend(threads) if ggml_peer else None
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            for rows in (int(text) for text in arguments.rows.split(",") if text):
                table = []
                for shape in arguments.shapes.split(","):
                    n, k = (int(text) for text in shape.split("x"))
                    table += measure(torch, numpy, arguments, library, backend, roofs, rows, n, k, threads, target)
                print(f"\n{rows} row{'s' if rows > 1 else ''}, {threads} thread{'s' if threads > 1 else ''}, "
                      f"{'AVX2 on every side' if target else 'widest ISA'}, roofs "
                      f"{max(row['roof_gflops'] for row in table):.0f} GFLOP/s, "
                      f"{max(row['roof_gbytes_per_s'] for row in table):.1f} GB/s")
                print_table(table)
                figures += table
    if arguments.json:
        path = pathlib.Path(arguments.json)
        figures = merge(path, figures)
        path.write_text(json.dumps({"torch": torch.__version__, "numpy": numpy.__version__,
                                    "cases": figures}, indent=1) + "\n")
    many = [row for row in figures if row["rows"] >= 16 and row["speedup"]]
    for isa, threads, kind in sorted({(row["isa"], row["threads"], row["weight"]) for row in many}):
        chosen = [row["speedup"] for row in many
                  if (row["isa"], row["threads"], row["weight"]) == (isa, threads, kind)]
        print(f"16 rows and more, {isa}, {threads} thread{'s' if threads > 1 else ''}, {kind}: geometric mean "
              f"{geometric_mean(chosen):.2f}x of the best peer over {len(chosen)} cases")
    if arguments.svg:
        threads = min(row["threads"] for row in figures)
        gains = {}
        for row in figures:
            if row["threads"] == threads and row["isa"] == arguments.isa and row["speedup"]:
                gains.setdefault((row["weight"], row["rows"]), []).append(row["speedup"])
        order = sorted(gains, key=lambda case: (list(BITS).index(case[0]), case[1]))
        bars = [{"name": f"{kind}, {rows} row{'s' if rows > 1 else ''}", "speedup": geometric_mean(gains[kind, rows])}
                for kind, rows in order]
        draw(arguments.svg, bars, f"Lathe over its best peer, mean of the shapes, {threads} thread"
             f"{'s' if threads > 1 else ''}, {'AVX2 on every side' if target else 'widest ISA'}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Matrix products beside PyTorch, OpenBLAS, oneDNN, MKL and ggml: calls alternate in one process.

    ./dev bench matmul [--rows 1,16,128,512,2048] [--shapes 4096x2048,…] [--threads 1,0] [--seconds 1]
                       [--weights f32,bf16,f16,i8,q8_0,q4_0,q4_K] [--isa avx2|native] [--store FILE]
                       [--json FILE] [--svg FILE]

y = x * transpose(w) at Qwen3-VL-2B's shapes, N x K, x in f32. Weights are cold on every side: before a
pass of calls, each on a copy of its own, all that they will read is dropped from the caches (tuner/cold_caches.h).
The multiply-add peak is measured in the same process before each shape; read bandwidth by calls that take their
turn among the kernels', each of as many bytes as the weight has. A kernel's bound is the longer of its flops at the one and its compulsory bytes at the other, the weight's counted
as stored (of block formats, as in a GGUF file).

Peers: PyTorch f32 and bf16 (F.linear), numpy's OpenBLAS, oneDNN and MKL with weights that they packed
beforehand, and ggml with weights of the same type, repacked where it can. f32 is compared with the fastest that
multiplies f32 weights, f16 and bf16 with the fastest of all on a CPU's float types, block formats with ggml; i8
has no peer here. `of f32`: our f32 kernel's time over this one's, both from the same rounds.
--json adds to the figures in the file, so that a sweep can be run in parts; `--rows ""` runs nothing, for a picture
of what is there.
"""

import argparse
import json
import math
import pathlib

from helpers import ROOT, draw, geometric_mean, machine, race_cold, restart_with_environment, time_call
from roofs import PASS_BYTES, Roofs, contender

SHAPES = ["4096x2048", "2048x2048", "12288x2048", "2048x6144",
          "3072x1024", "1024x1024", "4096x1024", "1024x4096"]

def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1,16,128,512,2048", help="rows of x")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="NxK, comma-separated")
    parser.add_argument("--threads", default="1,0", help="thread counts; 0: all cores")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each case")
    parser.add_argument("--isa", default="avx2", choices=["avx2", "native"],
                        help="avx2: every side is held to AVX2; native: the widest each has")
    parser.add_argument("--store", default="", help="a store of tuned schedules, or none (default: the user's)")
    parser.add_argument("--weights", default="f32,bf16,f16,i8,q8_0,q4_0,q4_K",
                        help="Lathe's weight types")
    parser.add_argument("--json", default="", help="add the figures to this file")
    parser.add_argument("--svg", default="", help="draw the gains over the best peer")
    parser.add_argument("--library", default=str(ROOT / "build/release/lib/liblathe.so"))
    return parser.parse_args()


def peers(torch, numpy, x, weights, threads):
    """Every peer of float weights that works here. `weights` are f32 copies, one of them used by each call."""
    linear = torch.nn.functional.linear
    state = {}
    found = []

    def keep(name, items, spans, compute):
        def call_on(item):
            def call():
                state[name] = compute(item)
            return call
        found.append(contender(name, [call_on(item) for item in items], spans, threads, lambda: state[name]))

    def spans_of(tensors):
        return [(tensor.data_ptr(), tensor.nbytes) for tensor in tensors]

    keep("torch f32", weights, spans_of(weights), lambda w: linear(x, w))
    x16 = x.bfloat16()
    bf16 = [w.bfloat16() for w in weights]
    keep("torch bf16", bf16, spans_of(bf16), lambda w: linear(x16, w))
    rows, y = x.numpy(), numpy.zeros((x.shape[0], weights[0].shape[0]), numpy.float32)
    keep("OpenBLAS", [w.numpy().T for w in weights], spans_of(weights),
         lambda w: torch.from_numpy(numpy.matmul(rows, w, out=y)))
    # Weights that the peer packed beforehand, as ours are. MKL keeps looking at the first, too.
    ops, count = torch.ops, x.shape[0]
    for name, prepare, run in [
            ("oneDNN", lambda w: ops.mkldnn._reorder_linear_weight(w, count),
             lambda both: ops.mkldnn._linear_pointwise(x, both[1], None, "none", [], "")),
            ("MKL", lambda w: ops.mkl._mkl_reorder_linear_weight(w, count),
             lambda both: ops.mkl._mkl_linear(x, both[1], both[0], None, count))]:
        try:
            both = [(w, prepare(w)) for w in weights]
            run(both[0])
            spans = [(ops.mkldnn.data_ptr(packed), ops.mkldnn._nbytes(packed)) for _, packed in both]
        except (AttributeError, RuntimeError) as error:
            # This PyTorch has no such library, or another interface to it.
            if name not in peers.missing:
                print(f"no figures of {name}: {str(error).splitlines()[0]}")
                peers.missing.add(name)
            continue
        keep(name, both, spans, run)
    return found


peers.missing = set()

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


def lathe(torch, library, lathe_c, x, kind, data, shape, copies, threads):
    """Our kernel on as many copies of a stored weight."""
    codes = {"f32": lathe_c.F32, "bf16": lathe_c.BF16, "f16": lathe_c.F16, "i8": lathe_c.F32,
             "q8_0": lathe_c.Q8_0, "q4_0": lathe_c.Q4_0, "q4_K": lathe_c.Q4_K}
    pack = library.pack_i8 if kind == "i8" else library.pack
    packed = [pack(data.ctypes.data, codes[kind], list(shape)) for _ in range(copies)]
    kernel = library.fetch(f"linear rows={x.shape[0]} {packed[0].parameters}")
    y = torch.zeros(x.shape[0], shape[0])
    def triple(tensor): return tensor.data_ptr(), lathe_c.F32, list(tensor.shape)
    calls = [kernel.bind([triple(x), *weight.parts], [triple(y)]) for weight in packed]
    ours = contender(f"Lathe {kind}", calls, [(weight.parts[0][0], weight.bytes) for weight in packed], threads,
                     lambda: y)
    ours.keep = packed
    return ours, kernel


def ggml_product(torch, backend, x, kind, data, shape, copies, threads):
    y = torch.zeros(x.shape[0], shape[0])
    calls = [backend.product(kind, data, x.numpy(), y.numpy()) for _ in range(copies)]
    return contender(f"ggml {kind}", calls, [call.weight for call in calls], threads, lambda: y)


def check(one, expected):
    one.calls[0]()
    found = one.result().float()
    error = ((found - expected).abs().max() / expected.abs().max()).item()
    kind = one.name.split()[-1]
    # ggml rounds x to the type of a 16-bit weight; with quantised weights both sides quantise x.
    limit = {"bf16": 2e-2, "f16": 2e-3}.get(kind, 3e-2 if BITS.get(kind, 32) < 16 else 2e-5)
    if not error <= limit:
        raise SystemExit(f"{one.name}: the results differ by {error:.3g}")


def copies_of(kind, n, k, threads, spare):
    """As many as make a pass long, within the spare memory; and with several threads one to wake them."""
    size = n * k * BITS[kind] / 8
    return max(1, min(math.ceil(PASS_BYTES / size), 1 + int(spare / size))) + (threads > 1)


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
    spare = roofs.spare()
    for kind in kinds:
        data, values = stored(torch, numpy, kind, first)
        expected = torch.nn.functional.linear(x, values)
        count = copies_of(kind, n, k, threads, spare)
        ours[kind], kernels[kind] = lathe(torch, library, lathe_c, x, kind, data, (n, k), count, threads)
        check(ours[kind], expected)
        if backend and kind != "i8":
            ggmls[kind] = ggml_product(torch, backend, x, kind, data, (n, k), count, threads)
            check(ggmls[kind], expected)
    floats = [kind for kind in kinds if BITS[kind] >= 16]
    copies = copies_of("f32", n, k, threads, spare)
    others = peers(torch, numpy, x, [first.clone() for _ in range(copies)], threads) if floats else []
    expected = torch.nn.functional.linear(x, first)
    for one in others:
        check(one, expected)
    peak = roofs.peak(target, threads)
    # A peer far behind would take most of the time: its one call is figure enough.
    times = {one.name: time_call(one.calls[0], 1) for one in (*others, *ggmls.values())}
    ahead = min((times[one.name] for one in others), default=math.inf)
    racing = [*ours.values(), *ggmls.values(), *(one for one in others if times[one.name] < 3 * ahead)]
    with roofs.reader(target, threads) as (make_cold, ways):
        reads = {kind: ways(int(n * k * BITS[kind] / 8)) for kind in kinds}
        readers = [one for kind in kinds for one in reads[kind][0]]
        order = interleaved(readers, racing)
        medians = dict(zip((one.name for one in order),
                           race_cold(order, arguments.seconds, make_cold, threads, least_batches=3)))
        rates = {kind: max(size / medians[one.name] for one in found) for kind, (found, size) in reads.items()}
    times.update({one.name: medians[one.name] for one in racing})
    figures = []
    for kind in kinds:
        against = {one.name: times[one.name] for one in others} if kind in floats else {}
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
    print(machine(arguments.isa))
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
                                    "machine": machine(arguments.isa), "cases": figures}, indent=1) + "\n")
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

#!/usr/bin/env python3
"""Side by side with PyTorch: calls of each alternate in one process, at Qwen3-VL-2B's shapes.

    ./dev bench [--rows 1,16,128,512] [--large] [--threads 1,0] [--seconds 0.4] [--json FILE] [--svg FILE]

Prints one table for each number of rows and threads, the geometric mean of the gains, how far each
kernel is from copying the same bytes (measured in the same rounds: the faster of PyTorch's copy and
memcpy), and how far the activation kernels are from their instruction bound (bench/listings, at the
clock measured before each table). --large adds 16384 rows, more than a last cache holds. Memory is
touched before it is timed on both sides: PyTorch's results come from a heap that keeps its pages.
"""

import argparse
import ctypes
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# PyTorch allocates each result anew. glibc must serve that from memory already mapped, or its page
# faults would be timed; these are read at start-up, so the program starts itself once more.
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
          "MALLOC_TOP_PAD_": str(1 << 28)}
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


LARGE_ROWS = 16384
LISTINGS = {"softmax": "softmax", "gelu tanh": "gelu_tanh", "gelu erf": "gelu_erf", "silu": "silu",
            "swiglu": "swiglu"}


def restart_with_environment(arguments):
    wanted = dict(MALLOC)
    if arguments.isa == "avx2":
        wanted.update(AVX2)
    if any(os.environ.get(key) != value for key, value in wanted.items()):
        os.environ.update(wanted)
        os.execv(sys.executable, [sys.executable] + sys.argv)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1,16,128,512", help="token counts")
    parser.add_argument("--large", action="store_true",
                        help=f"also {LARGE_ROWS} rows of {2048} elements, swiglu too")
    parser.add_argument("--threads", default="1,0", help="thread counts; 0: all cores")
    parser.add_argument("--seconds", type=float, default=0.4, help="for each case")
    parser.add_argument("--isa", default="avx2", choices=["avx2", "native"],
                        help="avx2: both sides are held to AVX2; native: the widest each has")
    parser.add_argument("--store", default="", help="a store of tuned schedules (default: the user's)")
    parser.add_argument("--only", default="", help="case names that contain this")
    parser.add_argument("--json", default="", help="write the figures to this file")
    parser.add_argument("--svg", default="", help="draw the gains at the largest row count")
    parser.add_argument("--library", default=str(ROOT / "build/release/lib/liblathe.so"))
    return parser.parse_args()


def time_call(call, repeats):
    begin = time.perf_counter_ns()
    for _ in range(repeats):
        call()
    return (time.perf_counter_ns() - begin) / repeats


def race(calls, seconds):
    """Medians of batches taken in turn; a batch lasts at least 100 µs."""
    repeats = []
    for call in calls:
        count = 1
        while time_call(call, count) * count < 100_000:
            count *= 2
        repeats.append(count)
    batches = [[] for _ in calls]
    end = time.perf_counter() + seconds
    order = list(range(len(calls)))
    while time.perf_counter() < end or len(batches[0]) < 5:
        for i in order:
            batches[i].append(time_call(calls[i], repeats[i]))
        order = order[1:] + order[:1]
    return [statistics.median(batch) for batch in batches]


def check(case, torch):
    """The two sides must agree before they are compared in speed."""
    expected = case.torch_call()
    expected = expected if isinstance(expected, tuple) else (expected,)
    for found, want in zip(case.outputs, expected):
        error = ((found.float() - want.float()).abs() / (1 + want.float().abs())).max().item()
        if not error <= case.tolerance:
            raise SystemExit(f"{case.name}: the results differ by {error:.3g}")


def bounds(library):
    """The least nanoseconds a vector of eight lanes, by case; nothing where no port table is known."""
    tool = library.parent.parent / "bin" / "bound"
    listings = {name: str(ROOT / f"bench/listings/{file}.s") for name, file in LISTINGS.items()}
    result = subprocess.run([tool, "--json", "--listing", *listings.values()], capture_output=True, text=True)
    if result.returncode != 0:
        return {}, 0
    found = json.loads(result.stdout)
    clock = found["clock_ghz"]
    return {name: found["cycles_per_vector"][file] / clock for name, file in listings.items()}, clock


def copies(source, sink):
    """Both ways to copy; the faster one is what a kernel is held against."""
    move, to, of, size = ctypes.memmove, sink.data_ptr(), source.data_ptr(), source.numel()
    return [lambda: sink.copy_(source), lambda: move(to, of, size)]


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def draw(path, rows, title):
    """A bar for each case: our gain over PyTorch, on a logarithmic axis."""
    height, left, right, top = 22, 170, 560, 46
    most = max(max(row["speedup"] for row in rows), 2)
    scale = (right - left) / math.log2(most * 1.1)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{top + height * len(rows) + 30}" '
             'font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="20" font-size="14">{title}</text>']
    tick = 1
    while tick <= most * 1.1:
        at = left + scale * math.log2(tick)
        parts.append(f'<line x1="{at:.0f}" y1="{top - 8}" x2="{at:.0f}" y2="{top + height * len(rows)}" stroke="#ccc"/>')
        parts.append(f'<text x="{at:.0f}" y="{top + height * len(rows) + 16}" text-anchor="middle" fill="#555">{tick}x</text>')
        tick *= 2
    for i, row in enumerate(rows):
        y = top + i * height
        end = left + scale * math.log2(max(row["speedup"], 0.25))
        x, width = min(left, end), max(abs(end - left), 1)
        colour = "#2a6fb0" if row["speedup"] >= 1 else "#b04a2a"
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{row["name"]}</text>')
        parts.append(f'<rect x="{x:.0f}" y="{y + 2}" width="{width:.0f}" height="{height - 6}" fill="{colour}"/>')
        parts.append(f'<text x="{max(end, left) + 5:.0f}" y="{y + 14}">{row["speedup"]:.2f}x</text>')
    parts.append("</svg>")
    pathlib.Path(path).write_text("\n".join(parts) + "\n")


def main():
    arguments = parse_arguments()
    restart_with_environment(arguments)
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    import torch

    import cases as side_by_side
    import lathe_c

    torch.set_grad_enabled(False)
    all_threads = torch.get_num_threads()
    row_counts = [int(text) for text in arguments.rows.split(",") if text]
    drawn = row_counts[-1] if row_counts else LARGE_ROWS
    if arguments.large:
        row_counts.append(LARGE_ROWS)
    thread_counts = sorted({int(text) or all_threads for text in arguments.threads.split(",")})
    target = "avx2" if arguments.isa == "avx2" else ""
    figures = []
    for threads in thread_counts:
        torch.set_num_threads(threads)
        library = lathe_c.Library(pathlib.Path(arguments.library), threads, target, arguments.store)
        for rows in row_counts:
            bound_ns, clock = bounds(pathlib.Path(arguments.library)) if target else ({}, 0)
            print(f"\n{rows} rows, {threads} thread{'s' if threads > 1 else ''}, "
                  f"{'both sides AVX2' if target else 'widest ISA'}, torch {torch.__version__}"
                  + (f", {clock:.2f} GHz" if clock else ""))
            print(f"{'case':<20}{'PyTorch':>12}{'Lathe':>12}{'gain':>8}{'copy':>12}{'of copy':>9}{'of bound':>9}  match")
            table = []
            for case in side_by_side.make_cases(rows, 2048, 6144 if rows < LARGE_ROWS else 2048, 16, 128):
                if arguments.only not in case.name:
                    continue
                kernel = library.fetch(case.problem)
                inputs, outputs = case.operands()
                ours = kernel.bind(inputs, outputs)
                ours()
                check(case, torch)
                moved = sum(t.numel() * t.element_size() for t in case.outputs)
                # Of a table that is looked up, a row is read for each row written.
                read = sum(t.numel() * t.element_size() for t in case.inputs if t.shape[0] != 8192)
                read += moved if case.name == "embedding" else 0
                half = max((moved + read) // 2, 64)
                source, sink = torch.zeros(half, dtype=torch.uint8), torch.zeros(half, dtype=torch.uint8)
                theirs_ns, ours_ns, *copy_times = race(
                    [case.torch_call, ours, *copies(source, sink)], arguments.seconds)
                copy_ns = min(copy_times)
                least = bound_ns.get(case.name, 0) * case.outputs[0].numel() / 8 / threads
                table.append({"name": case.name, "problem": kernel.problem, "expression": case.expression,
                              "rows": rows, "threads": threads, "isa": arguments.isa,
                              "torch_ns": theirs_ns, "lathe_ns": ours_ns, "copy_ns": copy_ns,
                              "speedup": theirs_ns / ours_ns, "of_copy": ours_ns / copy_ns, "of_bound": ours_ns / least if least else None,
                              "single_pass": case.single_pass, "match": kernel.match})
                row = table[-1]
                print(f"{case.name:<20}{theirs_ns / 1e3:>9.2f} µs{ours_ns / 1e3:>9.2f} µs"
                      f"{row['speedup']:>7.2f}x{copy_ns / 1e3:>9.2f} µs{row['of_copy']:>8.2f}x"
                      + (f"{row['of_bound']:>8.2f}x" if least else " " * 9) + f"  {kernel.match}",
                      flush=True)
            figures += table
            if table:
                print(f"{'geometric mean':<44}{geometric_mean([row['speedup'] for row in table]):>7.2f}x")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(
            {"torch": torch.__version__, "isa": arguments.isa, "cases": figures}, indent=1) + "\n")
    if arguments.svg:
        chosen = [row for row in figures
                  if row["rows"] == drawn and row["threads"] == thread_counts[0]]
        draw(arguments.svg, chosen,
             f"Lathe over PyTorch, {drawn} x 2048 f32, {thread_counts[0]} thread, "
             f"{'AVX2 on both sides' if target else 'widest ISA on both sides'}")


if __name__ == "__main__":
    main()

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
import pathlib
import subprocess
import sys

from helpers import ROOT, draw, geometric_mean, machine, race, restart_with_environment

LARGE_ROWS = 16384
# PyTorch's idle threads spin for milliseconds and would take a core from whoever comes next; once they
# sleep, the first calls of each side are slow for as long again.
SEVERAL_THREADS = {"pause": 0.01, "awake": 0.01}
LISTINGS = {"softmax": "softmax", "gelu tanh": "gelu_tanh", "gelu erf": "gelu_erf", "silu": "silu",
            "swiglu": "swiglu"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1,16,128,512", help="token counts")
    parser.add_argument("--large", action="store_true",
                        help=f"also {LARGE_ROWS} rows of {2048} elements, swiglu too")
    parser.add_argument("--threads", default="1,0", help="thread counts; 0: all cores")
    parser.add_argument("--seconds", type=float, default=0.4, help="for each case")
    parser.add_argument("--isa", default="avx2", choices=["avx2", "native"],
                        help="avx2: both sides are held to AVX2; native: the widest each has")
    parser.add_argument("--store", default="", help="a store of tuned schedules, or none (default: the user's)")
    parser.add_argument("--only", default="", help="case names that contain this")
    parser.add_argument("--json", default="", help="write the figures to this file")
    parser.add_argument("--svg", default="", help="draw the gains at the largest row count")
    parser.add_argument("--library", default=str(ROOT / "build/release/lib/liblathe.so"))
    return parser.parse_args()


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
    print(machine(arguments.isa))
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
                    [case.torch_call, ours, *copies(source, sink)], arguments.seconds,
                    **(SEVERAL_THREADS if threads > 1 else {}))
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

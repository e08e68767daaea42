#!/usr/bin/env python3
"""Attention beside PyTorch's scaled_dot_product_attention: calls alternate in one process.

    ./dev bench attention [--only prefill|vision|decode] [--threads 1,0] [--seconds 1] [--isa avx2|native]
                          [--pages small|huge] [--store FILE] [--json FILE]

q, k and v lie as [batch, heads, tokens, size], as PyTorch likes them best. Prefill is causal; of the flops only those
of visible pairs count. Prefill and vision are held against the multiply-add peak, decode against the read bandwidth,
both measured in the same process; decode finds its cache cold. The roof's reader reads pages of 2 MiB, PyTorch's memory
has pages of 4 KiB; with `--pages huge` k and v lie in pages of 2 MiB for both sides, as a cache may that is made once.
Rows of f16, bf16 and q8_0 caches and `of f32` say what a
narrower cache gains over our own f32.
"""

import argparse
import ctypes
import json
import mmap
import pathlib

from helpers import ROOT, machine, race, race_cold, restart_with_environment
from roofs import Contender, Roofs

# name, heads, heads of k, size, tokens, context, causal
PREFILL = [(f"prefill {heads}/8 x 128, {tokens}", heads, 8, 128, tokens, tokens, True)
           for heads in (16, 32) for tokens in (512, 2048, 8192)]
VISION = [(f"vision 16 x {size}, {tokens}", 16, 16, size, tokens, tokens, False)
          for size in (64, 72) for tokens in (1024, 4096)]
DECODE = [(f"decode 16/8 x 128, {context}", 16, 8, 128, 1, context, False) for context in (4096, 16384)]
HUGE_PAGE = 2 << 20
TYPES = {"f32": 0, "f16": 1, "bf16": 2, "q8_0": 12}
BYTES = {"f32": 4, "f16": 2, "bf16": 2, "q8_0": 34 / 32}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--threads", default="1,0", help="thread counts; 0: all cores")
    parser.add_argument("--seconds", type=float, default=1, help="for each case")
    parser.add_argument("--isa", default="avx2", choices=["avx2", "native"],
                        help="avx2: both sides are held to AVX2; native: the widest each has")
    parser.add_argument("--pages", default="small", choices=["small", "huge"], help="that k and v lie in")
    parser.add_argument("--store", default="", help="a store of tuned schedules, or none (default: the user's)")
    parser.add_argument("--json", default="", help="write the figures to this file")
    parser.add_argument("--library", default=str(ROOT / "build/release/lib/liblathe.so"))
    return parser.parse_args()


def in_type(torch, x, kind):
    """x as `kind`; as q8_0 blocks as GGUF has them: an f16 scale, then 32 codes."""
    if kind != "q8_0":
        return x.to({"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[kind])
    values = x.reshape(-1, 32)
    scales = values.abs().amax(dim=1, keepdim=True) / 127
    codes = torch.round(values / scales).to(torch.int8)
    return torch.cat([scales.to(torch.float16).view(torch.int8), codes], dim=1).contiguous()


def heads_view(lathe_c, tensor, kind, shape=None):
    """[batch, heads, tokens, size] in memory, as the kernels' [batch, tokens, heads, size]."""
    batch, heads, tokens, size = shape or tensor.shape
    strides = (ctypes.c_int64 * 4)(heads * tokens * size, size, tokens * size, 1)
    view = lathe_c.matrix_view(tensor.data_ptr(), kind, (batch, tokens, heads, size))
    view.strides = strides
    return view


def placed(torch, values, pages):
    """The values in memory as PyTorch allocates it, or in pages of 2 MiB where the system gives them."""
    if pages == "small":
        return values
    memory = mmap.mmap(-1, values.nbytes + HUGE_PAGE)
    memory.madvise(mmap.MADV_HUGEPAGE)
    room = torch.frombuffer(memory, dtype=torch.uint8)
    start = -room.data_ptr() % HUGE_PAGE
    return room[start:start + values.nbytes].view(values.dtype).view(values.shape).copy_(values)


def measure(torch, lathe_c, library, roofs, case, threads, arguments, target):
    name, heads, kv_heads, size, tokens, context, causal = case
    decodes = tokens == 1
    q = torch.randn(1, heads, tokens, size)
    k, v = (placed(torch, torch.randn(1, kv_heads, context, size), arguments.pages) for _ in range(2))
    sdpa = torch.nn.functional.scaled_dot_product_attention
    state = {}

    def torch_call():
        state["y"] = sdpa(q, k, v, is_causal=causal, enable_gqa=heads != kv_heads)

    torch_call()
    contenders = [Contender("torch", [torch_call], [(x.data_ptr(), x.nbytes) for x in (k, v)])]
    outputs, kernels = {}, {}
    for kind in (TYPES if decodes else ["f32"]):
        narrow = [x if kind == "f32" else placed(torch, in_type(torch, x, kind), arguments.pages) for x in (k, v)]
        y = torch.empty(1, heads, tokens, size)
        family = "attention_decode" if decodes else "attention_prefill"
        kernel = library.fetch(f"{family} tokens={tokens} context={context} heads={heads} kv_heads={kv_heads} "
                               f"dim={size} causal={'end' if causal else 'none'} kv_type={kind} kv_layout=hnd")
        call = kernel.bind_views([heads_view(lathe_c, q, 0)] +
                                 [heads_view(lathe_c, x, TYPES[kind], k.shape) for x in narrow],
                                 [heads_view(lathe_c, y, 0)])
        call.tensors = narrow
        call()
        outputs[kind], kernels[kind] = y, kernel
        error = (y - state["y"]).abs().max().item()
        if not error <= {"f32": 1e-4, "f16": 1e-2, "bf16": 5e-2, "q8_0": 5e-2}[kind]:
            raise SystemExit(f"{name}, {kind}: the results differ by {error:.3g}")
        contenders.append(Contender(kind, [call], [(x.data_ptr(), x.nbytes) for x in narrow]))

    peak = roofs.peak(target, threads)
    pairs = tokens * (tokens + 1) / 2 if causal else tokens * context
    flops = 4 * pairs * size * heads
    with roofs.reader(target, threads) as (make_cold, ways):
        if decodes:
            for one in contenders:
                one.waker = one.calls[0] if threads > 1 else None
            readers, read_bytes = ways(k.nbytes + v.nbytes)
            times = race_cold(contenders + readers, arguments.seconds, make_cold, threads)
            rate = max(read_bytes / ns for ns in times[len(contenders):])
        else:
            pauses = {} if threads == 1 else {"pause": 0.01, "awake": 0.01}
            times = race([one.calls[0] for one in contenders], arguments.seconds, **pauses)
            rate = None
    torch_ns, ours = times[0], dict(zip(kernels, times[1:]))
    rows = []
    for kind, ns in ours.items():
        moved = (k.nbytes + v.nbytes) * BYTES[kind] / 4
        bound = moved / rate if decodes else flops / peak
        rows.append({"name": name, "cache": kind, "threads": threads, "isa": arguments.isa, "lathe_ns": ns,
                     "torch_ns": torch_ns, "gflops": flops / ns, "gbytes_per_s": moved / ns, "of_roof": bound / ns,
                     "roof": rate if decodes else peak, "bound": "memory" if decodes else "compute",
                     "torch_of_roof": (k.nbytes + v.nbytes) / rate / torch_ns if decodes else bound / torch_ns,
                     "speedup": torch_ns / ns, "of_f32": ns / ours["f32"],
                     "problem": kernels[kind].problem, "match": kernels[kind].match})
    return rows


def print_rows(rows):
    for row in rows:
        roof = f"{row['roof']:.1f} {'GB/s' if row['bound'] == 'memory' else 'GFLOP/s'}"
        print(f"{row['name']:<28}{row['cache']:<6}{row['lathe_ns'] / 1e6:>9.2f} ms{row['of_roof'] * 100:>6.0f} %"
              f"{row['torch_ns'] / 1e6:>10.2f} ms{row['torch_of_roof'] * 100:>6.0f} %{row['speedup']:>8.2f}x"
              f"{row['of_f32']:>7.2f}  {roof:<14}{row['match']}", flush=True)


def main():
    arguments = parse_arguments()
    restart_with_environment(arguments)
    import torch

    import lathe_c

    target = "avx2" if arguments.isa == "avx2" else ""
    roofs = Roofs(pathlib.Path(arguments.library))
    print(machine(arguments.isa))
    figures = []
    all_threads = torch.get_num_threads()
    for wanted in map(int, arguments.threads.split(",")):
        threads = wanted or all_threads
        torch.set_num_threads(threads)
        library = lathe_c.Library(pathlib.Path(arguments.library), threads, target, arguments.store)
        print(f"\n{threads} thread{'s' if threads > 1 else ''}\n{'':<28}{'cache':<6}{'Lathe':>12}{'roof':>8}"
              f"{'PyTorch':>13}{'roof':>8}{'gain':>9}{'of f32':>7}  {'its roof':<14}schedule")
        for case in PREFILL + VISION + DECODE:
            if arguments.only not in case[0]:
                continue
            with torch.inference_mode():
                rows = measure(torch, lathe_c, library, roofs, case, threads, arguments, target)
            print_rows(rows)
            figures += rows
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What the benchmarks share: the environment they run in, races of calls, means, drawings."""

import math
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# PyTorch allocates each result anew. glibc must serve that from memory already mapped, or its page
# faults would be timed; these are read at start-up, so the program starts itself once more.
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
          "MALLOC_TOP_PAD_": str(1 << 28)}
# Idle threads of OpenMP and OpenBLAS spin, by default for up to some 100 ms: longer than from one call to
# the next, and in the way of whoever is next. A millisecond serves calls in a row as well.
SHORT_SPINS = {"GOMP_SPINCOUNT": "100000", "KMP_BLOCKTIME": "1", "OPENBLAS_THREAD_TIMEOUT": "20"}
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


def restart_with_environment(arguments, **more):
    """More variables for the capped run alone; without the cap they are removed."""
    wanted = {**MALLOC, **SHORT_SPINS}
    if arguments.isa == "avx2":
        wanted.update(AVX2, **more)
    elif any(key in os.environ for key in (*AVX2, *more)):
        for key in (*AVX2, *more):
            os.environ.pop(key, None)
        os.execv(sys.executable, [sys.executable] + sys.argv)
    if any(os.environ.get(key) != value for key, value in wanted.items()):
        os.environ.update(wanted)
        os.execv(sys.executable, [sys.executable] + sys.argv)


def time_call(call, repeats):
    begin = time.perf_counter_ns()
    for _ in range(repeats):
        call()
    return (time.perf_counter_ns() - begin) / repeats


def race(calls, seconds, least_batches=5, pause=0.0, awake=0.0, least_batch=1e-3):
    """Medians of batches taken in turn; a batch lasts at least `least_batch` seconds, so that its first
    call, which finds the caches as another side left them, weighs little. `pause` seconds
    before each batch let the threads of the one before go to sleep; calls that are not timed then
    wake those of this one for `awake` seconds."""
    repeats = []
    for call in calls:
        count = 1
        while time_call(call, count) * count < least_batch * 1e9:
            count *= 2
        repeats.append(count)
    batches = [[] for _ in calls]
    end = time.perf_counter() + seconds
    order = list(range(len(calls)))
    while time.perf_counter() < end or len(batches[0]) < least_batches:
        for i in order:
            time.sleep(pause)
            start = time.perf_counter()
            while awake and time.perf_counter() < start + awake:
                calls[i]()
            batches[i].append(time_call(calls[i], repeats[i]))
        order = order[1:] + order[:1]
    return [statistics.median(batch) for batch in batches]


def race_cold(contenders, seconds, make_cold, threads, least_batches=3):
    """Medians of batches taken in turn, in ns a call. A batch is passes of calls, one on each of the contender's
    copies, all of which `make_cold` has made cold before. Several threads have gone to sleep by then: the contender's
    waker calls them back first, for long enough that the system has put them on cores of their own."""
    least_batch, pause, awake = (2e-3, 0, 0) if threads == 1 else (10e-3, 0.01, 0.02)

    def wake(one, duration):
        end = time.perf_counter() + duration
        while time.perf_counter() < end:
            one.waker()

    def batch(one):
        total = calls = 0
        time.sleep(pause)
        while total < least_batch * 1e9:
            make_cold(one.spans)
            if one.waker:
                wake(one, awake if calls == 0 else awake / 20)
            begin = time.perf_counter_ns()
            for call in one.calls:
                call()
            total += time.perf_counter_ns() - begin
            calls += len(one.calls)
        return total / calls

    batches = [[] for _ in contenders]
    end = time.perf_counter() + seconds
    order = list(range(len(contenders)))
    while time.perf_counter() < end or len(batches[0]) < least_batches:
        for i in order:
            batches[i].append(batch(contenders[i]))
        order = order[1:] + order[:1]
    return [statistics.median(batch) for batch in batches]


def machine(isa):
    """One line: the CPU, what every side is held to, and its caches."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    def field(name): return next((line.split(":", 1)[1].strip() for line in info.splitlines()
                                  if line.startswith(name)), "unknown")
    caches = {}
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (index / "type").read_text().strip() != "Instruction":
            caches["L" + (index / "level").read_text().strip()] = (index / "size").read_text().strip()
    held = "AVX2 on every side" if isa == "avx2" else "the widest ISA of each side"
    return (f"{field('model name')}, family {field('cpu family')} model {field('model')}, {os.cpu_count()} CPUs, "
            f"{held}, " + ", ".join(f"{level} {size}" for level, size in caches.items()))


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def draw(path, rows, title):
    """A bar for each case: our gain over a peer, on a logarithmic axis."""
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

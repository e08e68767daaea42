#!/usr/bin/env python3
"""Writes blocks.npz: values, their GGUF blocks as others make them, and what those read back as.

usage: make_vectors.py LIBGGML [OUTPUT]

q8_0 and q4_0 are quantised, and all three types read, by the Python package gguf; q4_K, which that package
only reads, is quantised by quantize_row_q4_K_ref of LIBGGML, a shared library with ggml's ggml-quants.c, built
without fused multiply-adds (gcc -O2 -ffp-contract=off), which round differently.
"""

import ctypes
import pathlib
import sys

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import quants

BLOCK = 256


def values():
    """One block a row; every kind of content that the quantisers treat differently."""
    random = np.random.default_rng(20240607)
    ramp = np.arange(BLOCK)
    rows = [random.standard_normal(BLOCK) for _ in range(3)]
    rows += [random.standard_t(2, BLOCK), random.uniform(0.5, 2, BLOCK), -random.uniform(0.5, 2, BLOCK)]
    rows += [np.zeros(BLOCK), np.full(BLOCK, -0.75), np.full(BLOCK, 3.0), ramp - 100.0]
    rows += [np.where(ramp == 77, 1000.0, random.standard_normal(BLOCK))]
    rows += [np.where(ramp // 32 % 2 == 0, 0.0, random.standard_normal(BLOCK))]
    rows += [random.standard_normal(BLOCK) * 10.0 ** (ramp // 32 - 4.0)]
    rows += [random.standard_normal(BLOCK) * scale for scale in (1e4, 1e-3, 1e-6)]
    rows += [np.where(ramp % 2 == 0, 1.0, -1.0), random.integers(-8, 8, BLOCK) * 0.125]
    return np.array(rows, np.float32)


def q4_k(x, library):
    quantize = library.quantize_row_q4_K_ref
    quantize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    blocks = np.zeros((len(x), 144), np.uint8)
    quantize(x.ctypes.data, blocks.ctypes.data, x.size)
    return blocks


def main():
    library = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_LOCAL | 1)
    output = sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent / "blocks.npz"
    x = np.ascontiguousarray(values())
    arrays = {"x": x, "q4_K": q4_k(x, library)}
    for name, kind in (("q8_0", Kind.Q8_0), ("q4_0", Kind.Q4_0)):
        arrays[name] = quants.quantize(x, kind)
    # Blocks that no quantiser makes, with every scale and minimum: to be read only.
    noise = np.random.default_rng(1).integers(0, 256, (2, 144), np.uint8)
    noise[:, 0:4] = np.array([0.01, 0.02], np.float16).view(np.uint8)
    arrays["q4_K_noise"] = noise
    for name, kind in (("q8_0", Kind.Q8_0), ("q4_0", Kind.Q4_0), ("q4_K", Kind.Q4_K), ("q4_K_noise", Kind.Q4_K)):
        arrays[name + "_values"] = quants.dequantize(arrays[name], kind).astype(np.float32)
    np.savez_compressed(output, **arrays)


if __name__ == "__main__":
    main()

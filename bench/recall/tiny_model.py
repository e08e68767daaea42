"""Queries and keys of a Qwen3-VL checkpoint's text layers, as attention reads them, for build/release/bin/recall.

Usage: tiny_model.py MODEL OUT [--tokens N] [--sequences N] [--golden text.npz]

MODEL is a folder with config.json and model.safetensors in f32. The sequences are N text tokens drawn from the
vocabulary by a seed. Writes OUT/layer<L>.<i>.q.npy [tokens, heads, dim] and .k.npy [tokens, kv_heads, dim], f32,
after the norm of heads and the rotation. With --golden it first runs the tokens of `input.input_ids` there and
compares its q and k with those of Hugging Face's code. NumPy only, in double precision.
"""

import argparse
import json
import os
import struct
import sys

import numpy


def read_safetensors(path):
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack_from("<Q", data)
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            sys.exit(f"{path}: {name}: found {entry['dtype']}, expected F32")
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = numpy.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).astype(numpy.float64)
    return tensors


def rms_norm(x, weight, eps):
    return x / numpy.sqrt(numpy.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def silu(x):
    return x / (1 + numpy.exp(-x))


def rotate(x, cos, sin):
    """x [tokens, heads, dim]: pairs (j, j + dim/2) turned by the angles of each token."""
    half = x.shape[-1] // 2
    low, high = x[..., :half], x[..., half:]
    return numpy.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def attention(q, k, v):
    """Causal; heads / kv_heads consecutive heads of q share one of k and v."""
    tokens, heads, dim = q.shape
    group = heads // k.shape[1]
    y = numpy.empty_like(q)
    hidden = numpy.triu(numpy.full((tokens, tokens), -numpy.inf), 1)
    for head in range(heads):
        scores = q[:, head] @ k[:, head // group].T / numpy.sqrt(dim) + hidden
        weights = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        y[:, head] = weights / weights.sum(axis=1, keepdims=True) @ v[:, head // group]
    return y.reshape(tokens, heads * dim)


def queries_and_keys(weights, config, ids):
    """(q, k) of each text layer for token ids of text alone, whose three positions are one."""
    text = config["text_config"]
    dim, eps = text["head_dim"], text["rms_norm_eps"]
    rope = text.get("rope_parameters") or text
    frequencies = rope["rope_theta"] ** (-numpy.arange(0, dim, 2) / dim)
    angles = numpy.arange(len(ids))[:, None, None] * frequencies
    cos, sin = numpy.cos(angles), numpy.sin(angles)
    x = weights["model.language_model.embed_tokens.weight"][ids]
    found = []
    for layer in range(text["num_hidden_layers"]):
        def of(name, layer=layer):
            return weights[f"model.language_model.layers.{layer}.{name}.weight"]

        h = rms_norm(x, of("input_layernorm"), eps)
        q, k, v = ((h @ of(f"self_attn.{name}_proj").T).reshape(len(ids), -1, dim) for name in "qkv")
        q = rotate(rms_norm(q, of("self_attn.q_norm"), eps), cos, sin)
        k = rotate(rms_norm(k, of("self_attn.k_norm"), eps), cos, sin)
        found.append((q, k))
        x = x + attention(q, k, v) @ of("self_attn.o_proj").T
        h = rms_norm(x, of("post_attention_layernorm"), eps)
        x = x + (silu(h @ of("mlp.gate_proj").T) * (h @ of("mlp.up_proj").T)) @ of("mlp.down_proj").T
    return found


def check(weights, config, path):
    golden = numpy.load(path)
    layers = queries_and_keys(weights, config, golden["input.input_ids"][0])
    for layer, pair in enumerate(layers):
        for name, found in zip("qk", pair):
            expected = golden[f"prefill.layer{layer}.self_attn.core.{name}"][0].transpose(1, 0, 2)
            worst = numpy.abs(found - expected).max()
            print(f"layer {layer}: {name} differs from {path} by {worst:.1e} at most")
            if not worst < 1e-4:
                sys.exit(f"{path}: layer {layer}: {name} differs by {worst}, expected less than 1e-4")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--tokens", type=int, default=1024, help="of a sequence (1024)")
    parser.add_argument("--sequences", type=int, default=4, help="the last is held out by recall (4)")
    parser.add_argument("--golden", help="text.npz of the same weights, to compare with first")
    arguments = parser.parse_args()
    with open(os.path.join(arguments.model, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    weights = read_safetensors(os.path.join(arguments.model, "model.safetensors"))
    if arguments.golden:
        check(weights, config, arguments.golden)
    os.makedirs(arguments.out, exist_ok=True)
    for sequence in range(arguments.sequences):
        random = numpy.random.Generator(numpy.random.PCG64(sequence + 1))
        ids = random.integers(0, config["text_config"]["vocab_size"], arguments.tokens)
        for layer, pair in enumerate(queries_and_keys(weights, config, ids)):
            for name, values in zip("qk", pair):
                path = os.path.join(arguments.out, f"layer{layer}.{sequence}.{name}.npy")
                numpy.save(path, values.astype("<f4"))


if __name__ == "__main__":
    main()

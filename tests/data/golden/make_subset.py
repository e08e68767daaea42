#!/usr/bin/env python3
"""Copies the arrays that the graph tests compare with from a folder of reference arrays.

usage: make_subset.py GOLDEN_FOLDER [OUTPUT_FOLDER]

GOLDEN_FOLDER holds text.npz, vision.npz, multimodal.npz, weights.safetensors and config.json as written
by its make_golden.py. The result is four compressed .npz files beside this script (or in OUTPUT_FOLDER):
the same arrays under the same names, and in weights.npz the weights that they need.
"""

import json
import pathlib
import re
import struct
import sys
import zipfile

import numpy as np

STEP = r"prefill|decode\d"
PATTERNS = {
    "text": [
        rf"({STEP})\.(mrope\.(position_ids|cos|sin)|embed_tokens\.(in|out)|norm\.(in|out))",
        r"prefill\.layer0\.(input_layernorm|post_attention_layernorm)\.(in|out)",
        r"prefill\.layer0\.self_attn\.([qkv]_proj|[qk]_norm)\.(in|out)",
        r"prefill\.layer0\.self_attn\.core\.(q|k|v|out)",
        r"prefill\.layer0\.mlp\.(act_fn\.in|act_fn\.out|up_proj\.out|down_proj\.in|down_proj\.out)",
    ],
    "vision": [
        r"images\.rope2d\.(position_ids|cos|sin)",
        r"images\.block0\.(norm1|norm2|attn\.proj)\.(in|out)",
        r"images\.block0\.(attn\.qkv\.out|attn\.core\.(q|k|v|out)|mlp\.act_fn\.(in|out))",
        r"images\.merger\.(in|out|norm\.(in|out)|linear_fc1\.(in|out)|act_fn\.(in|out))",
        r"images\.deepstack_merger_list\.0\.(in|out|norm\.(in|out)|act_fn\.(in|out))",
        r"(images|clip)\.(grid_thw|cu_seqlens|pos\.(indices|weights|out))",
    ],
    "multimodal": [
        rf"({STEP})\.(mrope\.(position_ids|cos|sin)|embed_tokens\.(in|out)|norm\.(in|out))",
        r"prefill\.layer0\.(input_layernorm|post_attention_layernorm)\.(in|out)",
        r"prefill\.layer0\.self_attn\.[qk]_norm\.(in|out)",
        r"prefill\.layer0\.self_attn\.core\.(q|k)",
        r"prefill\.layer0\.mlp\.(act_fn\.in|act_fn\.out|up_proj\.out|down_proj\.in)",
        r"prefill\.deepstack\.(in|mask|embeds|out)",
    ],
}
WEIGHTS = [
    r"model\.language_model\.(embed_tokens|norm)\.weight",
    r"model\.language_model\.layers\.0\.(input_layernorm|post_attention_layernorm)\.weight",
    r"model\.language_model\.layers\.0\.(self_attn\.([qk]_norm|[qkv]_proj)|mlp\.down_proj)\.weight",
    r"model\.visual\.blocks\.0\.(norm1|norm2|attn\.proj|attn\.qkv)\.(weight|bias)",
    r"model\.visual\.(merger|deepstack_merger_list\.0)\..*",
    r"model\.visual\.pos_embed\.weight",
]


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    arrays = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise SystemExit(f"{path}: {name} is {entry['dtype']}, expected F32")
        first, last = entry["data_offsets"]
        raw = data[8 + length + first : 8 + length + last]
        arrays[name] = np.frombuffer(raw, "<f4").reshape(entry["shape"])
    return arrays


def write(path, arrays):
    """Like numpy.savez_compressed, but the same bytes on every run."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(arrays):
            member = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(arrays[name]), version=(1, 0))
    print(f"{path}: {len(arrays)} arrays, {path.stat().st_size} bytes")


def choose(arrays, patterns):
    chosen = {n: a for n, a in arrays.items() if any(re.fullmatch(p, n) for p in patterns)}
    unused = [p for p in patterns if not any(re.fullmatch(p, n) for n in chosen)]
    if unused:
        raise SystemExit(f"no array matches {unused}")
    return chosen


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    source = pathlib.Path(sys.argv[1])
    target = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else pathlib.Path(__file__).parent
    for name, patterns in PATTERNS.items():
        with np.load(source / f"{name}.npz") as arrays:
            write(target / f"{name}.npz", choose(dict(arrays), patterns))
    write(target / "weights.npz", choose(read_safetensors(source / "weights.safetensors"), WEIGHTS))


if __name__ == "__main__":
    main()

"""Runs the two programs for the tests, on files in a temporary folder."""

import json
import os
import struct
import subprocess
import tempfile
import unittest

# How much longer than a release build this one takes: what must be done in a given time gets so much more.
SLOWDOWN = float(os.environ.get("LATHE_TEST_SLOWDOWN", "1"))

CONFIG = {
    "model_type": "qwen3_vl",
    "text_config": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 32, "intermediate_size": 232, "vocab_size": 512, "rms_norm_eps": 1e-06,
        "rope_parameters": {"mrope_section": [6, 5, 5], "rope_theta": 5000000.0}},
    "vision_config": {
        "depth": 2, "hidden_size": 48, "intermediate_size": 100, "num_heads": 4, "out_hidden_size": 64,
        "deepstack_visual_indexes": [1]},
}

GRAPH = """graph block(%x: f32[tokens, 72], %w: f32[72], %u: f32[tokens, 72]) -> (%y) {
  %n = rms_norm(%x, %w) {eps = 1e-06}
  %s = silu(%n)
  %y = mul(%s, %u)
}
"""


def write_npy(path, shape, values):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack("<%df" % len(values), *values))


def read_npy(path):
    with open(path, "rb") as file:
        data = file.read()
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    return list(struct.unpack("<%df" % ((len(data) - begin) // 4), data[begin:]))


class ProgramTest(unittest.TestCase):
    PROGRAM = ""  # the environment variable that names it

    def setUp(self):
        self.program = os.environ[self.PROGRAM]
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.db = self.path("store.db")
        self.write("model/config.json", json.dumps(CONFIG))
        self.write("block.lir", GRAPH)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def start(self, *arguments, **environment):
        settings = {**os.environ, "XDG_CACHE_HOME": self.path("cache"), **environment}
        return subprocess.Popen([self.program, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=settings)

    def run_json(self, *arguments, status=0, **environment):
        """The document printed; fails unless the program exits with `status`."""
        process = self.start("--json", *arguments, **environment)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, status, f"{arguments}\n{out}\n{err}")
        return json.loads(out)

    def assert_error(self, *arguments, says):
        """Exit status 2 and a JSON error that contains every word of `says`."""
        document = self.run_json(*arguments, status=2)
        self.assertEqual(set(document["error"]), {"code", "message"})
        for part in says:
            self.assertIn(part, document["error"]["message"])

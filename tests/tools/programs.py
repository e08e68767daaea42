"""Runs the two programs for the tests, on files in a temporary folder."""

import json
import os
import struct
import subprocess
import tempfile
import unittest

# Whether the programs are built with sanitizers, whose shadow memory no limit on address space leaves room for.
SANITIZED = os.environ.get("LATHE_TEST_SANITIZED") == "1"
# Long enough for any machine under any load; only a program that hangs comes near it.
PATIENCE_S = 1200

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

    def look(self, folder=None):
        """Name, mode, time and bytes of every file in a folder."""
        look = {}
        for parent, _, names in os.walk(folder or self.folder):
            for name in names:
                path = os.path.join(parent, name)
                info = os.lstat(path)
                with open(path, "rb") as file:
                    look[path] = (info.st_mode, info.st_ino, info.st_mtime_ns, file.read())
        return look

    def start(self, *arguments, before=None, **environment):
        """`before` runs in the child, before the program. The user's own settings of Lathe do not count."""
        settings = {name: value for name, value in os.environ.items() if not name.startswith("LATHE_")}
        settings.update({"XDG_CACHE_HOME": self.path("cache"), **environment})
        return subprocess.Popen([self.program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                encoding="utf-8", env=settings, preexec_fn=before)

    def run_json(self, *arguments, status=0, before=None, **environment):
        """The document printed; fails unless the program exits with `status`."""
        process = self.start("--json", *arguments, before=before, **environment)
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status, f"{arguments}\n{out}\n{err}")
        return json.loads(out)

    def assert_error(self, *arguments, says):
        """Exit status 2 and a JSON error that contains every word of `says`."""
        document = self.run_json(*arguments, status=2)
        self.assertEqual(set(document["error"]), {"code", "message"})
        for part in says:
            self.assertIn(part, document["error"]["message"])

    def assert_lost_output_is_an_error(self, *arguments):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([self.program, *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                                    timeout=PATIENCE_S)
        self.assertEqual(result.returncode, 2, arguments)
        self.assertIn("not all could be written", result.stderr)

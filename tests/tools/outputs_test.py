"""Files that commands write: new and existing ones, links, devices, pipes, folders; `lathe` and, where it is built,
`replay`."""

import math
import os
import signal
import stat
import subprocess
import threading

from tests.tools.programs import PATIENCE_S, ProgramTest, write_npy

PROBLEM = "relu rows=1 width=8"


class Outputs(ProgramTest):
    PROGRAM = "LATHE"

    def commands(self):
        """What each command is called, and its arguments for an output; all write the same bytes each time."""
        inputs = []
        for name, shape in (("x", (2, 72)), ("w", (72,)), ("u", (2, 72))):
            path = self.path(name + ".npy")
            write_npy(path, shape, [0.5] * math.prod(shape))
            inputs += ["--in", f"{name}={path}"]
        yield "run", lambda out: [self.program, "run", self.path("block.lir"), *inputs, "--target", "reference",
                                  "--out", f"y={out}"]
        yield "emit", lambda out: [self.program, "emit", "--problem", PROBLEM, "--target", "sse", "--as", "program",
                                   "--out", out]
        replay = os.environ.get("REPLAY")
        if not replay:
            return
        subprocess.run([os.environ["QWEN3VL_TUNE"], "--problem", PROBLEM, "--cache", "warm", "--effort", "quick",
                        "--threads", "1", "--db", self.db], check=True, capture_output=True,
                       timeout=PATIENCE_S)
        yield "collect", lambda out: [replay, "collect", "--db", self.db, "-o", out]
        records = self.path("model_sse_host.tsv")
        subprocess.run([replay, "collect", "--db", self.db, "-o", records], check=True, capture_output=True,
                       timeout=PATIENCE_S)
        yield "distill", lambda out: [replay, "distill", records, "-o", out]

    def call(self, arguments, status=0, umask=0o022):
        result = subprocess.run(arguments, capture_output=True, timeout=PATIENCE_S, preexec_fn=lambda: os.umask(umask))
        self.assertEqual(result.returncode, status, result.stderr)
        return result

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def mode(self, name):
        return stat.S_IMODE(os.stat(self.path(name)).st_mode)

    def test_every_command_writes_what_its_output_is(self):
        for name, command in self.commands():
            with self.subTest(command=name):
                self.check(name, command)

    def check(self, name, command):
        new = self.path(f"{name}.new")
        self.call(command(new), umask=0o027)
        expected = self.read(f"{name}.new")
        self.assertGreater(len(expected), 0)
        self.assertEqual(self.mode(f"{name}.new"), 0o640)

        os.makedirs(self.path(f"{name}.folder"))
        self.write(f"{name}.folder/file", "before")
        os.chmod(self.path(f"{name}.folder/file"), 0o604)
        for link, target in (("link", f"{name}.folder/file"), ("dangling", f"{name}.folder/made"),
                             ("null", "/dev/null")):
            link = f"{name}.{link}"
            os.symlink(target, self.path(link))
            self.call(command(self.path(link)))
            self.assertEqual(os.readlink(self.path(link)), target)
        self.assertEqual(self.read(f"{name}.folder/file"), expected)
        self.assertEqual(self.mode(f"{name}.folder/file"), 0o604)
        self.assertEqual(self.read(f"{name}.folder/made"), expected)
        self.assertEqual(sorted(os.listdir(self.path(f"{name}.folder"))), ["file", "made"])
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))

        self.assertTrue(self.call(command("/dev/stdout")).stdout.startswith(expected))
        message = self.call(command("/dev/full"), status=2).stderr
        self.assertIn(b"/dev/full", message)
        message = self.call(command(self.folder), status=2).stderr
        self.assertIn(b"is a folder", message)

        os.mkfifo(self.path(f"{name}.pipe"))
        got = []
        reader = threading.Thread(target=lambda: got.append(self.read(f"{name}.pipe")))
        reader.start()
        self.call(command(self.path(f"{name}.pipe")))
        reader.join()
        self.assertEqual(got, [expected])
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path(f"{name}.pipe")).st_mode))

        waiting = subprocess.Popen(command(self.path(f"{name}.pipe")), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        self.assertIn("waiting for a reader", waiting.stderr.readline())
        waiting.send_signal(signal.SIGINT)
        waiting.communicate(timeout=PATIENCE_S)
        self.assertIn(waiting.returncode, (130, -signal.SIGINT))

"""The programs where memory is limited: by the process's own limits and by a memory group of the system's."""

import contextlib
import os
import pathlib
import resource
import unittest

from tests.tools.programs import PATIENCE_S, SANITIZED, ProgramTest

MIB = 1 << 20
SMALL = "relu rows=1 width=8"


@contextlib.contextmanager
def memory_group(limit):
    """The folder of a memory group of its own; None where this system lets us make none."""
    base = pathlib.Path("/sys/fs/cgroup")
    for parent, file in ((base, "memory.max"), (base / "memory", "memory.limit_in_bytes")):
        group = parent / f"lathe-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if not (group / file).exists():  # a plain folder, or a group without this controller
                raise OSError
            (group / file).write_text(str(limit))
        except OSError:
            group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    yield None


class Limits(ProgramTest):
    PROGRAM = "LATHE"

    def bench(self, problem, before):
        return self.run_json("bench", "--problem", problem, "--threads", "1", "--seconds", "0.05", "--db", "none",
                             before=before)

    @unittest.skipIf(SANITIZED, "sanitizers need more address space than the limit leaves")
    def test_address_space(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (2000000 * 1024, 2000000 * 1024))
        for problem in (SMALL, "linear rows=1 n=4096 k=2048 weight=bf16"):
            self.assertGreater(self.bench(problem, limit)["median_ns"], 0)

    @unittest.skipIf(SANITIZED, "sanitizers need more address space than the limit leaves")
    def test_too_little_is_an_error_in_words(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (400 * MIB, 400 * MIB))
        document = self.run_json("bench", "--problem", "linear rows=512 n=16384 k=8192 weight=f32", "--threads", "1",
                                 "--db", "none", status=2, before=limit)
        self.assertEqual(document["error"]["code"], "resource_exhausted")
        self.assertIn("MiB", document["error"]["message"])

    def test_memory_group(self):
        with memory_group(1500 * MIB) as group:
            if group is None:
                self.skipTest("this user may not make a memory group here")
            def enter():
                (group / "cgroup.procs").write_text("0")
            self.assertGreater(self.bench(SMALL, enter)["median_ns"], 0)
            self.program = os.environ["QWEN3VL_TUNE"]
            process = self.start("--json", "--model", self.path("model"), "--tokens", "1", "--image", "32x32",
                                 "--threads", "1", "--effort", "quick", "--db", self.db, before=enter)
            out, err = process.communicate(timeout=PATIENCE_S)
            self.assertEqual(process.returncode, 0, f"{out}\n{err}")


if __name__ == "__main__":
    unittest.main()

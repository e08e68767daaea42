"""scripts/tidy.py runs a file again exactly when something that it reads has changed."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import tidy  # noqa: E402


class Fingerprint(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        self.write("ir/a.cpp", '#include <string>\n#include "ir/a.h"\n')
        self.write("ir/a.h", "#include <lathe/b.h>\n")
        self.write("include/lathe/b.h", "int b;\n")
        self.write("ir/unrelated.h", "int u;\n")

    def write(self, path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        tidy.text_and_includes.cache_clear()

    def test_depends_on_what_is_read(self):
        before = tidy.fingerprint("ir/a.cpp", b"tool 1")
        self.assertEqual(before, tidy.fingerprint("ir/a.cpp", b"tool 1"))
        self.assertNotEqual(before, tidy.fingerprint("ir/a.cpp", b"tool 2"))
        self.write("ir/unrelated.h", "int changed;\n")
        self.assertEqual(before, tidy.fingerprint("ir/a.cpp", b"tool 1"))
        for path in ("ir/a.cpp", "ir/a.h", "include/lathe/b.h"):
            with self.subTest(path), open(path, encoding="utf-8") as file:
                text = file.read()
                self.write(path, text + "// more\n")
                self.assertNotEqual(before, tidy.fingerprint("ir/a.cpp", b"tool 1"))
                self.write(path, text)


class Together(unittest.TestCase):
    """With a clang-tidy that minds every file named bad*.cpp, alone or in a group."""

    def setUp(self):
        self.ran = []
        replaced = {"run": tidy.run, "run_together": tidy.run_together}
        self.addCleanup(lambda: vars(tidy).update(replaced))
        tidy.run = self.run_alone
        tidy.run_together = lambda paths, commands: not any("bad" in path for path in paths)

    def run_alone(self, path, build):
        self.ran.append(path)
        return ("bad" in path, "a finding")

    def test_what_a_group_hides_is_found_alone(self):
        paths = [f"ir/good{i}.cpp" for i in range(tidy.MANY)] + ["ir/bad.cpp", "store/good.cpp"]
        results = {path: status for path, status, output in tidy.results_of(paths, {}, "build", 2)}
        self.assertEqual(sorted(results), sorted(paths))
        self.assertEqual([path for path in paths if results[path]], ["ir/bad.cpp"])
        self.assertIn("ir/bad.cpp", self.ran)
        self.assertNotIn("store/good.cpp", self.ran)
        self.assertLessEqual(len(self.ran), tidy.TOGETHER)

    def test_few_are_run_one_by_one(self):
        paths = ["ir/a.cpp", "ir/b.cpp"]
        self.assertEqual(len(list(tidy.results_of(paths, {}, "build", 2))), 2)
        self.assertEqual(sorted(self.ran), paths)


if __name__ == "__main__":
    unittest.main()

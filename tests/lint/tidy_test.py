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


if __name__ == "__main__":
    unittest.main()

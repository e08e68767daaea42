"""One violation of each rule in scripts/layers.py, beside the nearest thing that is allowed."""

import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import layers  # noqa: E402

HEADER = "// A file.\n"


def findings(path, body):
    return [message for _, message in layers.check_file(path, HEADER + body)]


class Includes(unittest.TestCase):
    def assert_refused(self, path, include, expected):
        found = findings(path, f"#include {include}\n")
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def assert_allowed(self, path, include):
        self.assertEqual(findings(path, f"#include {include}\n"), [])

    def test_only_folders_to_the_left(self):
        self.assert_allowed("compiler/passes/fuse.cpp", '"ir/graph/graph.h"')
        self.assert_allowed("runtime/api/library.cpp", '"store/store.h"')
        self.assert_refused("support/hash.cpp", '"ir/types.h"', "the order is support < ir")
        self.assert_refused("ir/graph/graph.cpp", '"compiler/problem.h"', "the order is")
        self.assert_refused("store/store.cpp", '"runtime/library/kernel_library.h"', "the order is")

    def test_top_folders_are_seen_by_tests_only(self):
        self.assert_allowed("tests/tools/arguments_test.cpp", '"tools/arguments.h"')
        self.assert_allowed("tools/tune.cpp", '"tuner/tuner.h"')
        self.assert_refused("tuner/tuner.cpp", '"tools/arguments.h"', "nothing but tests includes tools/")
        self.assert_refused("bench/probe.cpp", '"tests/oracle.h"', "nothing but tests includes tests/")

    def test_siblings_in_ir(self):
        self.assert_allowed("ir/graph/graph.h", '"ir/types.h"')
        self.assert_allowed("ir/plan/plan.h", '"ir/program/program.h"')
        self.assert_refused("ir/program/program.h", '"ir/plan/plan.h"', "of its siblings only []")
        self.assert_allowed("runtime/launch/compiled_kernel.h", '"runtime/artifact/artifact.h"')
        self.assert_refused("runtime/artifact/artifact.cpp", '"runtime/launch/launch.h"', "of its siblings only []")
        self.assert_refused("ir/plan/plan.h", '"ir/graph/graph.h"', "of its siblings only ['program']")
        self.assert_refused("ir/types.h", '"ir/graph/graph.h"', "includes none of its sub-folders")

    def test_backends_do_not_see_each_other(self):
        self.assert_allowed("codegen/x86/emitter.cpp", '"codegen/backend.h"')
        self.assert_refused("codegen/x86/emitter.cpp", '"codegen/llvm/lower.h"', "of its siblings only []")
        self.assert_refused("codegen/llvm/lower.cpp", '"codegen/x86/emitter.h"', "of its siblings only []")
        self.assert_refused("codegen/backend.cpp", '"codegen/x86/emitter.h"', "none of its sub-folders")

    def test_rooms_of_the_runtime(self):
        self.assert_allowed("runtime/api/c_api.cpp", '"runtime/graph/executor.h"')
        self.assert_allowed("runtime/library/kernel_library.h", '"runtime/launch/compiled_kernel.h"')
        self.assert_refused("runtime/cpu/thread_pool.cpp", '"runtime/launch/launch.h"', "of its siblings only []")
        self.assert_refused("runtime/launch/launch.cpp", '"runtime/library/record_key.h"', "only ['artifact', 'cpu']")
        self.assert_allowed("runtime/packages/usability.cpp", '"runtime/library/target_selection.h"')
        self.assert_refused("runtime/library/kernel_library.cpp", '"runtime/packages/package.h"',
                            "only ['launch', 'artifact', 'cpu']")

    def test_only_executables_name_backends(self):
        self.assert_allowed("tools/lathe.cpp", '"codegen/x86/backend.h"')
        self.assert_refused("runtime/api/library.cpp", '"codegen/x86/backend.h"', "only an executable")
        self.assert_refused("tuner/tuner.cpp", '"codegen/llvm/backend.h"', "only an executable")

    def test_only_tests_describe_another_machine(self):
        self.assert_refused("tuner/race.cpp", '"support/described_host.h"', "only tests describe")
        self.assert_allowed("tests/tuner/race_test.cpp", '"support/described_host.h"')
        self.assert_allowed("support/hardware.cpp", '"support/described_host.h"')

    def test_third_party_headers_have_one_home(self):
        homes = {
            "<xbyak/xbyak.h>": "codegen/x86/emitter.h",
            "<llvm/IR/Module.h>": "codegen/llvm/lower.cpp",
            "<SQLiteCpp/SQLiteCpp.h>": "store/store.cpp",
            "<sqlite3.h>": "store/store.cpp",
            "<cuda.h>": "runtime/cuda/device.cpp",
            "<nvrtc.h>": "codegen/ptx/compile.cpp",
            "<cpuinfo.h>": "support/hardware.cpp",
            "<xxhash.h>": "support/hash.cpp",
            "<zlib.h>": "ir/npz.cpp",
            "<zip.h>": "runtime/packages/container.cpp",
            "<sodium.h>": "runtime/packages/keys.cpp",
            "<CLI/CLI.hpp>": "tools/lathe.cpp",
            "<benchmark/benchmark.h>": "bench/probe.cpp",
            "<gtest/gtest.h>": "tests/ir/types_test.cpp",
        }
        for header, home in homes.items():
            with self.subTest(header):
                self.assert_allowed(home, header)
                self.assert_refused("compiler/problem.cpp", header, "used only in")
        self.assert_refused("tests/store/faults_test.cpp", "<sqlite3.h>", "used only in store")
        self.assert_refused("codegen/x86x/emitter.h", "<xbyak/xbyak.h>", "used only in codegen/x86")

    def test_public_headers_include_nothing_internal(self):
        self.assert_allowed("include/lathe/library.h", "<lathe/error.h>")
        self.assert_allowed("include/lathe/error.h", "<tl/expected.hpp>")
        self.assert_allowed("include/lathe/error.h", "<string>")
        self.assert_refused("include/lathe/library.h", '"runtime/api/library.h"', "includes nothing internal")
        self.assert_refused("include/lathe/library.h", "<fmt/format.h>", "of other libraries")

    def test_includes_start_at_the_root(self):
        self.assert_refused("ir/types.cpp", '"types.h"', "by their path from the repository's root")
        self.assert_refused("ir/graph/graph.cpp", '"../types.h"', "by their path from")
        self.assert_refused("ir/types.cpp", "<ir/types.h>", "included with quotes")
        self.assert_refused("support/error.h", '"lathe/error.h"', "included as <lathe/...>")

    def test_spacing_does_not_hide_an_include(self):
        self.assertEqual(len(findings("support/a.cpp", '#  include   "ir/types.h"\n')), 1)
        self.assertEqual(len(findings("support/a.cpp", '  #include<sqlite3.h>\n')), 1)


class Namespaces(unittest.TestCase):
    def test_namespace_follows_the_folder(self):
        for name in ("lathe", "lathe::ir", "lathe::ir::graph", "lathe::ir::graph::detail"):
            self.assertEqual(findings("ir/graph/graph.h", f"namespace {name} {{\n"), [])
        for name in ("lathe::graph", "lathe::ir::program"):
            self.assertEqual(len(findings("ir/graph/graph.h", f"namespace {name} {{\n")), 1)

    def test_target_follows_the_folder(self):
        text = "# Graphs.\nlathe_library(NAME {} SOURCES a.cpp)\n"
        self.assertEqual(layers.check_file("ir/graph/CMakeLists.txt", text.format("ir::graph")), [])
        self.assertEqual(len(layers.check_file("ir/graph/CMakeLists.txt", text.format("graph"))), 1)


class Files(unittest.TestCase):
    def test_first_line_says_what_the_file_is(self):
        for path, good in [("ir/a.h", "// Types.\n"), ("scripts/a.py", '"""Types."""\n'),
                           ("cmake/a.cmake", "# Types.\n"), ("dev", "#!/bin/sh\n# Types.\n")]:
            with self.subTest(path):
                self.assertEqual(layers.check_file(path, good), [])
                self.assertEqual(len(layers.check_file(path, "\n" + good)), 1)
        self.assertEqual(len(layers.check_file("ir/a.h", "#pragma once\n")), 1)

    def test_long_files_need_a_reason(self):
        long_text = HEADER + "int x;\n" * layers.MAXIMUM_LINES
        self.assertEqual(len(layers.check_file("ir/a.cpp", long_text)), 1)
        self.assertEqual(layers.check_file("ir/a.cpp", long_text[:-len("int x;\n")]), [])
        with mock.patch.dict(layers.LONG_FILES, {"ir/a.cpp": "one table"}):
            self.assertEqual(layers.check_file("ir/a.cpp", long_text), [])
            self.assertIn("take it off", layers.check_file("ir/a.cpp", HEADER)[0][1])

    def test_paths_of_one_machine(self):
        for folder in ("home", "root", "work"):
            self.assertEqual(len(layers.check_file("docs/a.md", f"see /{folder}/someone/x\n")), 1)
        self.assertEqual(layers.check_file("docs/a.md", "see ~/work/x, src/work/x, 0::/work/x, https://a.org/b\n"), [])

    def test_unfinished_notes(self):
        self.assertEqual(len(findings("ir/a.cpp", "// TO" + "DO: finish\n")), 1)
        self.assertEqual(len(layers.check_file("docs/a.md", "FIX" + "ME\n")), 1)


class Tree(unittest.TestCase):
    def test_whole_tree_outside_git(self):
        with tempfile.TemporaryDirectory() as root:
            for path, text in [("ir/a.h", "// Fine.\n"), ("support/b.h", '// Bad.\n#include "ir/a.h"\n'),
                               ("build/c.h", "not ours\n"), ("tests/data/d.bin", "\0TO" + "DO")]:
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            with mock.patch.dict(layers.LONG_FILES, clear=True):
                found = layers.check_tree(root)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith("support/b.h:2: "), found)


if __name__ == "__main__":
    unittest.main()

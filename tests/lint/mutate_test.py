"""tests/mutations/ fits the code, and scripts/mutate.py judges, restores, remembers and goes on."""

import glob
import os
import re
import sys
import tempfile
import tomllib
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
import mutate  # noqa: E402


class TheList(unittest.TestCase):
    def test_every_fault_has_its_place_and_its_tests(self):
        faults, problems = mutate.read_faults(ROOT)
        tests = mutate.tests_of(ROOT)
        for fault in faults:
            problems += mutate.problems_of(ROOT, fault, tests)
        self.assertEqual(problems, [])
        self.assertGreater(len(faults), 50)

    def test_the_guide_counts_them(self):
        with open(os.path.join(ROOT, "docs/mutations.md"), encoding="utf-8") as guide:
            told = dict(re.findall(r"^\| `(\w+\.toml)` \|.*\| (\d+) \|$", guide.read(), re.M))
        counted = {}
        for path in glob.glob(os.path.join(ROOT, "tests/mutations/*.toml")):
            with open(path, "rb") as file:
                counted[os.path.basename(path)] = str(len(tomllib.load(file)))
        self.assertEqual(told, counted)


FAULT = """
[one]
file = "a/a.cpp"
find = "x + 1"
replace = "x"
caught_by = { unit_a = "A.*" }
"""


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.write("a/a.cpp", "int f(int x) { return x + 1; }\n")
        self.write("tests/a/CMakeLists.txt", "foreach(part b c)\n  lathe_test(NAME unit_a_${part}\n"
                   "endforeach()\nlathe_test(NAME unit_a LABELS unit\n")
        self.write("tests/mutations/a.toml", FAULT)

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            return file.read()

    def problems(self):
        faults, problems = mutate.read_faults(self.root)
        for fault in faults:
            problems += mutate.problems_of(self.root, fault, mutate.tests_of(self.root))
        return " ".join(problems)


class Problems(InAFolder):
    def test_a_good_entry_has_none(self):
        self.assertEqual(self.problems(), "")
        self.assertEqual(set(mutate.tests_of(self.root)), {"unit_a", "unit_a_b", "unit_a_c"})

    def test_each_mistake_is_named(self):
        for change, expected in [
                (("x + 1", "y + 1"), "its text occurs 0 times in a/a.cpp"),
                (('"x + 1"', '"x"'), "its text occurs 2 times"),
                (('find = "x + 1"', 'find = ""'), "its text occurs 0 times"),
                (('"x"\n', '"x + 1"\n'), "find and replace are the same"),
                (("a/a.cpp", "a/b.cpp"), "there is no file 'a/b.cpp'"),
                (("unit_a =", "unit_b ="), "a test named 'unit_b'"),
                (('{ unit_a = "A.*" }', "{}"), "names no test"),
                (("file =", "fiel ="), "found the field 'fiel'"),
                (("caught_by = {", "caught_by = 3 # {"), "found the field 'caught_by'"),
                (("[one]", "[One]"), "names are unique"),
                (("[one]", "[one"), "a.toml: Expected")]:
            with self.subTest(expected):
                self.write("tests/mutations/a.toml", FAULT.replace(*change))
                self.assertIn(expected, self.problems())

    def test_a_name_in_two_files(self):
        self.write("tests/mutations/b.toml", FAULT)
        self.assertIn("b.toml: [one]: names are unique", self.problems())


class FakeRunner:
    """A build that fails where `broken` stands in the code, a test that finds what `finds` says."""

    def __init__(self, tree, finds=True):
        self.tree, self.finds, self.builds, self.sound = tree, finds, [], True
        self.stops = False

    def code(self):
        with open(os.path.join(self.tree, "a/a.cpp"), encoding="utf-8") as file:
            return file.read()

    def build(self, targets):
        self.builds.append(targets)
        return "broken" if "broken" in self.code() else None

    def test(self, name, filter_):
        if self.stops and "x + 1" not in self.code():
            raise KeyboardInterrupt
        passed = self.sound if "x + 1" in self.code() else not self.finds
        return passed, "" if passed else "A.One", 1


class Run(InAFolder):
    def go(self, again=False, **settings):
        faults, _ = mutate.read_faults(self.root)
        tree = os.path.join(self.root, mutate.FOLDER, "tree")
        self.runner = FakeRunner(tree)
        for name, value in settings.items():
            setattr(self.runner, name, value)
        self.said = []
        results = mutate.run(self.root, faults, again, self.runner, self.said.append)
        self.assertIn("x + 1", self.read("a/a.cpp"))
        self.assertIn("x + 1", self.runner.code(), "the copy is restored")
        return results["one"]

    def test_caught(self):
        result = self.go()
        self.assertEqual((result["outcome"], result["detail"]), ("caught", "unit_a: A.One"))
        self.assertEqual(self.runner.builds[0], ["unit_a"])
        self.assertIn("[1/1] one: caught, unit_a: A.One", self.said[1])

    def test_survives(self):
        result = self.go(finds=False)
        self.assertEqual((result["outcome"], result["detail"]), ("survives", "unit_a A.* passes"))

    def test_an_entry_that_does_not_compile_is_an_error(self):
        self.write("tests/mutations/a.toml", FAULT.replace('"x"\n', '"broken"\n'))
        result = self.go()
        self.assertEqual(result["outcome"], "error")
        self.assertIn("does not compile", result["detail"])

    def test_a_test_that_fails_without_the_fault_proves_nothing(self):
        result = self.go(sound=False)
        self.assertEqual(result["outcome"], "error")
        self.assertIn("fails without the fault", result["detail"])

    def test_what_is_known_runs_again_when_something_changed(self):
        self.go()
        self.go()
        self.assertEqual(self.runner.builds, [])
        self.go(again=True)
        self.assertNotEqual(self.runner.builds, [])
        for path, text in [("a/a.cpp", "int f(int x) { return (x + 1); }\n"),
                           ("tests/a/a_test.cpp", "more"),
                           ("tests/mutations/a.toml", FAULT.replace('"x"\n', '"x + 2"\n'))]:
            self.write(path, text)
            self.go()
            self.assertNotEqual(self.runner.builds, [], path)
        self.write("b/b.cpp", "another file")
        self.go()
        self.assertEqual(self.runner.builds, [])

    def test_an_interrupted_fault_is_taken_back_and_runs_next_time(self):
        with self.assertRaises(KeyboardInterrupt):
            self.go(stops=True)
        self.assertIn("x + 1", self.runner.code())
        self.assertEqual(self.go()["outcome"], "caught")

    def test_a_damaged_file_of_results_is_made_anew(self):
        self.go()
        self.write(mutate.FOLDER + "/results.json", "{")
        self.assertEqual(self.go()["outcome"], "caught")

    def test_the_copy_follows_the_files(self):
        self.write("a/old.cpp", "old")
        self.go()
        copy = os.path.join(self.runner.tree, "a/old.cpp")
        self.assertTrue(os.path.exists(copy))
        before = os.stat(os.path.join(self.runner.tree, "a/a.cpp")).st_mtime_ns
        os.remove(os.path.join(self.root, "a/old.cpp"))
        mutate.copy_tree(self.root, self.runner.tree)
        self.assertFalse(os.path.exists(copy))
        self.assertEqual(os.stat(os.path.join(self.runner.tree, "a/a.cpp")).st_mtime_ns, before)


class CtestOutput(unittest.TestCase):
    def test_the_first_case_that_failed(self):
        said = ("1: [  FAILED  ] All/A.One/f32, where GetParam() = (1, 2) (3 ms)\n"
                "1: [  FAILED  ] A.Two (1 ms)\n1: [==========] 2 tests from 1 test suite ran. (4 ms total)\n"
                "2: [==========] 1 test from 1 test suite ran. (4 ms total)\n1/2 Test #1: a ...***Failed  0.1 sec\n")
        self.assertEqual(mutate.read_ctest(said), ("All/A.One/f32", 3))

    def test_a_test_that_dies(self):
        self.assertEqual(mutate.read_ctest("1/1 Test #1: unit_a ....***Exception: SegFault  0.2 sec\n"),
                         ("segfault", 0))


if __name__ == "__main__":
    unittest.main()

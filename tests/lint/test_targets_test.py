"""scripts/test_targets.py names everything that the chosen tests run or hand on, and nothing else."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import test_targets  # noqa: E402


def test(name, command=(), **properties):
    return {"name": name, "command": list(command),
            "properties": [{"name": key, "value": value} for key, value in properties.items()]}


class Targets(unittest.TestCase):
    def targets(self, *tests):
        return test_targets.targets_of({"tests": list(tests)}, "/b")

    def test_a_program_that_exists_or_not(self):
        self.assertEqual(self.targets(test("here", ["/b/bin/here", "--filter=x"])), ["bin/here"])
        self.assertEqual(self.targets({"name": "not yet", "properties": [
            {"name": "REQUIRED_FILES", "value": ["/b/bin/later"]}]}), ["bin/later"])

    def test_programs_and_libraries_that_are_handed_on(self):
        found = self.targets(test("tools", ["python3", "/b/../tests/tools_test.py", "/b/lib/libroofs.so"],
                                  ENVIRONMENT=["LATHE=/b/bin/lathe", "LC_ALL=C.UTF-8"], LABELS=["unit"]))
        self.assertEqual(found, ["bin/lathe", "lib/libroofs.so"])

    def test_other_paths_are_nothing_to_build(self):
        self.assertEqual(self.targets(test("t", ["/usr/bin/cmake", "/b2/bin/x", "/b/test-results/x.xml"],
                                           ENVIRONMENT=["XDG_CACHE_HOME=/b/test-cache"])), [])

    def test_whoever_is_given_the_folder_needs_all_of_it(self):
        self.assertEqual(self.targets(test("a", ["/b/bin/a"]), test("install", ["install.sh", "/b"])), ["all"])

    def test_each_once(self):
        self.assertEqual(self.targets(test("a.0", ["/b/bin/a"]), test("a.1", ["/b/bin/a"])), ["bin/a"])


if __name__ == "__main__":
    unittest.main()

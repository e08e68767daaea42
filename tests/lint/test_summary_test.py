"""scripts/test_summary.py counts cases, and nothing that went wrong can end as a pass."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts"))
import test_summary  # noqa: E402

GTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="Parser">
  <testcase name="reads" status="run" result="completed" classname="Parser"/>
  <testcase name="prints" status="run" result="completed" classname="Parser">{extra}</testcase>
  <testcase name="DISABLED_later" status="notrun" result="suppressed" classname="Parser"/>
  <testcase name="golden" status="run" result="skipped" classname="Parser">
    <skipped message="parser_test.cpp:12&#x0A;no shared data&#x0A;"/></testcase>
</testsuite></testsuites>
"""


class Run:
    """A results folder with one entry or more, as ./dev test leaves it."""

    def __init__(self, folder):
        self.folder, self.entries, self.outcomes = folder, [], []

    def entry(self, name, status="run", message="", gtest=None, is_gtest=True):
        environment = [f"GTEST_OUTPUT=xml:{self.folder}/{name}.xml"] if is_gtest else []
        self.entries.append({"name": name, "properties": [{"name": "ENVIRONMENT", "value": environment}]})
        if status:
            child = {"fail": "failure", "notrun": "skipped"}.get(status)
            body = f'<{child} message="{message}"/>' if child else ""
            self.outcomes.append(f'<testcase name="{name}" status="{status}">{body}</testcase>')
        if gtest:
            self.write(f"{name}.xml", gtest)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def finish(self):
        """Exit status and last line of the summary."""
        self.write("listing.json", json.dumps({"tests": self.entries}))
        self.write("ctest.xml", "<testsuite>" + "".join(self.outcomes) + "</testsuite>")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = test_summary.main(self.folder)
        self.output = output.getvalue()
        return status, self.output.strip().split("\n")[-1]


class Summary(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.run_ = Run(folder.name)

    def test_counts_cases_not_entries(self):
        self.run_.entry("unit_parser", gtest=GTEST.format(extra=""))
        self.run_.entry("unit_script", is_gtest=False)
        self.assertEqual(self.run_.finish(), (0, "3 passed, 0 failed, 1 skipped"))
        self.assertIn("skipped (1): no shared data\n", self.run_.output)

    def test_failing_case(self):
        self.run_.entry("unit_parser", "fail", gtest=GTEST.format(extra='<failure message="x"/>'))
        self.assertEqual(self.run_.finish(), (1, "1 passed, 1 failed, 1 skipped"))
        self.assertIn("FAILED unit_parser: Parser.prints", self.run_.output)

    def test_crash_without_results(self):
        self.run_.entry("unit_parser", "fail", "Segmentation fault")
        self.assertEqual(self.run_.finish(), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertIn("Segmentation fault", self.run_.output)

    def test_crash_after_passing_cases(self):
        self.run_.entry("unit_parser", "fail", "leaks", gtest=GTEST.format(extra=""))
        self.assertEqual(self.run_.finish(), (1, "2 passed, 1 failed, 1 skipped"))

    def test_truncated_results(self):
        self.run_.entry("unit_parser", gtest=GTEST.format(extra="")[:80])
        self.assertEqual(self.run_.finish(), (1, "0 passed, 1 failed, 0 skipped"))

    def test_entry_that_ran_no_case(self):
        self.run_.entry("unit_parser", gtest="<testsuites></testsuites>")
        self.assertEqual(self.run_.finish(), (1, "0 passed, 1 failed, 0 skipped"))

    def test_entry_that_ctest_never_reported(self):
        self.run_.entry("unit_parser", status=None)
        self.assertEqual(self.run_.finish(), (1, "0 passed, 1 failed, 0 skipped"))

    def test_missing_binary(self):
        self.run_.entry("unit_parser", "notrun", "Unable to find executable")
        self.run_.entry("unit_script", "notrun", "Unable to find executable", is_gtest=False)
        self.assertEqual(self.run_.finish(), (1, "0 passed, 2 failed, 0 skipped"))

    def test_script_that_skips(self):
        self.run_.entry("unit_script", "notrun", "SKIP_RETURN_CODE=77", is_gtest=False)
        self.assertEqual(self.run_.finish(), (0, "0 passed, 0 failed, 1 skipped"))

    def test_nothing_selected(self):
        self.assertEqual(self.run_.finish(), (1, "0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    unittest.main()

"""Sums a ctest run into `N passed, N failed, N skipped`, counting GoogleTest cases.

Usage: test_summary.py RESULTS, a folder with
  listing.json  ctest --show-only=json-v1: which entries were selected, and where each leaves its cases
  ctest.xml     ctest --output-junit: how each entry ended
  *.xml         GoogleTest's own results, one file per entry

An entry that fails without a failing case to show for it (a crash, a timeout, a missing binary)
counts as one failure; so does a GoogleTest entry that ran nothing. Other entries count as one case.
Exit status: 0 when something ran and nothing failed, else 1.
"""

import collections
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

Case = collections.namedtuple("Case", "name outcome detail")  # outcome: passed | failed | skipped


def entry_results_file(entry):
    """The file that GoogleTest writes for this ctest entry; None for another kind of test."""
    for prop in entry.get("properties", []):
        if prop["name"] == "ENVIRONMENT":
            for setting in prop["value"]:
                if setting.startswith("GTEST_OUTPUT=xml:"):
                    return os.path.basename(setting)
    return None


def gtest_cases(path):
    """The cases that ran, by GoogleTest's XML; None when there is no complete file."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    cases = []
    for suite in root.iter("testsuite"):
        for case in suite.iter("testcase"):
            if case.get("status") == "notrun":
                continue
            name = "{}.{}".format(case.get("classname"), case.get("name"))
            if case.find("failure") is not None:
                cases.append(Case(name, "failed", ""))
            elif case.get("result") == "skipped" or case.find("skipped") is not None:
                skipped = case.find("skipped")
                reason = "" if skipped is None else skipped.get("message") or skipped.text or ""
                # GoogleTest puts "file:line\n" before the reason.
                lines = [l for l in reason.strip().split("\n") if not re.fullmatch(r"\S+:\d+", l.strip())]
                cases.append(Case(name, "skipped", " ".join(lines).strip()))
            else:
                cases.append(Case(name, "passed", ""))
    return cases


def ctest_outcomes(path):
    """Entry name -> (run | fail | notrun | disabled, message), from ctest's JUnit file."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return {}
    outcomes = {}
    for case in root.iter("testcase"):
        message = ""
        for child in ("failure", "skipped"):
            if case.find(child) is not None:
                message = case.find(child).get("message") or ""
        outcomes[case.get("name")] = (case.get("status"), message)
    return outcomes


def summarize(folder):
    """All cases of the run in `folder`, in ctest's order."""
    with open(os.path.join(folder, "listing.json"), encoding="utf-8") as file:
        entries = json.load(file)["tests"]
    outcomes = ctest_outcomes(os.path.join(folder, "ctest.xml"))
    cases = []
    for entry in entries:
        name = entry["name"]
        status, message = outcomes.get(name, ("missing", "ctest has no result for it"))
        results = entry_results_file(entry)
        if results is None:
            # A script's exit status is its one case; ctest writes "notrun" for its skip status too.
            if status == "run":
                cases.append(Case(name, "passed", ""))
            elif status == "notrun" and "SKIP_RETURN_CODE" in message:
                cases.append(Case(name, "skipped", "the test's script skipped itself"))
            else:
                cases.append(Case(name, "failed", message or status))
            continue
        of_entry = gtest_cases(os.path.join(folder, results)) or []
        cases += [case._replace(name=f"{name}: {case.name}") for case in of_entry]
        if status != "run" and not any(case.outcome == "failed" for case in of_entry):
            cases.append(Case(name, "failed", f"ended without a failing case: {message or status}"))
        elif status == "run" and not of_entry:
            cases.append(Case(name, "failed", "ran no test case"))
    return cases


def main(folder):
    cases = summarize(folder)
    count = collections.Counter(case.outcome for case in cases)
    reasons = collections.Counter(case.detail for case in cases if case.outcome == "skipped")
    for reason, times in sorted(reasons.items()):
        print(f"skipped ({times}): {reason or 'no reason given'}")
    for case in cases:
        if case.outcome == "failed":
            print(f"FAILED {case.name}" + (f" ({case.detail})" if case.detail else ""))
    if not cases:
        print("no test was selected")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 0 if cases and not count["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

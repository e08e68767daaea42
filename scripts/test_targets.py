"""Names what a build has to make for some tests: the files of the build folder that their commands and environments name.

Usage: ctest --test-dir BUILD SELECTION --show-only=json-v1 | test_targets.py BUILD
Prints targets relative to BUILD, one a line; `all` where a test is given the folder as a whole.
"""

import json
import os
import sys


def words_of(test):
    yield from test.get("command", [])  # which ctest leaves out as long as the program does not exist
    for entry in test.get("properties", []):
        if entry["name"] == "REQUIRED_FILES":
            yield from entry["value"]
        if entry["name"] == "ENVIRONMENT":
            for assignment in entry["value"]:
                yield assignment.partition("=")[2]


def targets_of(listing, build):
    """The outputs of the build that the listed tests run or hand on."""
    found = set()
    for test in listing["tests"]:
        for word in words_of(test):
            if word == build:
                return ["all"]
            if os.path.dirname(os.path.dirname(word)) == build and os.path.basename(os.path.dirname(word)) in ("bin", "lib"):
                found.add(os.path.relpath(word, build))
    return sorted(found)


def main():
    build = os.path.realpath(sys.argv[1])
    for target in targets_of(json.load(sys.stdin), build):
        print(target)


if __name__ == "__main__":
    main()

"""Puts small faults into a copy of the code, one at a time, and runs the tests that must catch each.

Usage: mutate.py [--list] [--again] [NAME…]     (NAME: of a fault, or a pattern such as 'softmax*')

tests/mutations/*.toml hold the faults:
  [name]                    unique; letters, digits and '-'
  file = "store/store.cpp"
  find = '''…'''            text that occurs there exactly once
  replace = '''…'''         what a plausible mistake would have made of it
  caught_by = { unit_store = "StoreDamage.*" }   each of these tests must fail: the name of a ctest
                            entry and a filter of its GoogleTest cases ("" for a script)
  build = ["lathe"]         what a script's test needs built; GoogleTest programs build themselves

The repository's files are copied to build/mutate/tree; the user's own are never written. A test must
pass there without a fault before its failure counts. What was found is kept in
build/mutate/results.json: an interrupted run goes on from there, and only faults whose file, entry or
tests have changed run again, or all with --again.
Exit status: 0 when every fault that was selected is caught; 1 when one survives, or its entry is bad.
"""

import argparse
import fcntl
import fnmatch
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

from source_files import repository_files

FAULTS = "tests/mutations"
FOLDER = "build/mutate"
TIMEOUT_S = 300  # of one test: a fault that makes a loop endless is caught, too
SHARED = ("compiler/check_inputs.h", "compiler/check_inputs.cpp")  # what tests of kernels are made of
FIELDS = {"file": str, "find": str, "replace": str, "caught_by": dict, "build": list}
TEST_NAME = re.compile(r"\blathe_(?:test|script_test|fuzz|rerun)\(\s*NAME\s+(\S+)")
TEST_LIST = re.compile(r"\bforeach\((\w+)\s+([^)]*)\)")


class Fault:
    def __init__(self, name, entry):
        self.name = name
        self.file = entry.get("file", "")
        self.find = entry.get("find", "")
        self.replace = entry.get("replace", "")
        self.caught_by = entry.get("caught_by", {})
        self.build = entry.get("build", [])


# --- the list -------------------------------------------------------------------------------------


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def read_faults(root):
    """The faults of all files, in order, and what is wrong with the files themselves."""
    faults, problems, names = [], [], set()
    for path in sorted(glob.glob(os.path.join(root, FAULTS, "*.toml"))):
        where = os.path.relpath(path, root)
        try:
            entries = tomllib.loads(read(path))
        except tomllib.TOMLDecodeError as error:
            problems.append(f"{where}: {error}")
            continue
        for name, entry in entries.items():
            place = f"{where}: [{name}]"
            if not isinstance(entry, dict):
                problems.append(f"{place}: found a value, expected a table of a fault's fields")
                continue
            wrong = [f for f, value in entry.items() if not isinstance(value, FIELDS.get(f, ()))]
            if wrong:
                problems.append(f"{place}: found the field '{wrong[0]}', expected "
                                + ", ".join(f"{f} ({kind.__name__})" for f, kind in FIELDS.items()))
                continue
            if not re.fullmatch(r"[a-z0-9-]+", name) or name in names:
                problems.append(f"{place}: names are unique, of small letters, digits and '-'")
            names.add(name)
            faults.append(Fault(name, entry))
    return faults, problems


def tests_of(root):
    """Name of a ctest entry (or start of one, where CMake makes several) -> the folder it stands in."""
    tests = {}
    for path in glob.glob(os.path.join(root, "tests", "**", "CMakeLists.txt"), recursive=True):
        text = read(path)
        values = {name: words.split() for name, words in TEST_LIST.findall(text)}
        for name in TEST_NAME.findall(text):
            variable = re.search(r"\$\{(\w+)\}", name)
            for value in values.get(variable.group(1), []) if variable else [""]:
                tests[re.sub(r"\$\{\w+\}", value, name)] = os.path.relpath(os.path.dirname(path), root)
    return tests


def problems_of(root, fault, tests):
    """What is wrong with an entry, as lines that name it."""
    def found(what):
        return f"[{fault.name}]: {what}"

    if os.path.isabs(fault.file) or ".." in fault.file.split("/"):
        return [found(f"'{fault.file}' is no path inside the repository")]
    try:
        text = read(os.path.join(root, fault.file))
    except OSError:
        return [found(f"there is no file '{fault.file}'")]
    problems = []
    count = text.count(fault.find) if fault.find else 0
    if count != 1:
        problems.append(found(f"its text occurs {count} times in {fault.file}, expected once; "
                              "the code has changed: find the fault's new place"))
    if fault.find == fault.replace:
        problems.append(found("find and replace are the same"))
    if not fault.caught_by:
        problems.append(found("caught_by names no test"))
    for test in fault.caught_by:
        if test not in tests:
            problems.append(found(f"no CMakeLists.txt in tests/ has a test named '{test}'"))
    return problems


# --- the copy -------------------------------------------------------------------------------------


def copy_tree(root, tree):
    """Makes `tree` a copy of the repository's files; what is the same keeps its time of change."""
    wanted = set(repository_files(root))
    for folder, folders, files in os.walk(tree):
        if folder == tree:
            folders[:] = [f for f in folders if f not in ("build", ".cache")]
        for file in files:
            path = os.path.relpath(os.path.join(folder, file), tree)
            if path not in wanted:
                os.remove(os.path.join(tree, path))
    for path in wanted:
        source, target = os.path.join(root, path), os.path.join(tree, path)
        with open(source, "rb") as file:
            content = file.read()
        if os.path.isfile(target):
            with open(target, "rb") as file:
                if file.read() == content:
                    continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
        shutil.copymode(source, target)


def hash_of(*texts):
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]


def hash_of_folders(root, folders):
    names = [n for n in repository_files(root) if any(n.startswith(f + "/") for f in folders)]
    return hash_of(*(n + "\n" + read_bytes_as_text(os.path.join(root, n)) for n in names))


def read_bytes_as_text(path):
    with open(path, "rb") as file:
        return file.read().decode("latin-1")


# --- running --------------------------------------------------------------------------------------


class Runner:
    """Builds and tests in the copy. `build` and `test` are what a test of this script replaces."""

    def __init__(self, tree):
        self.tree = tree

    def build(self, targets):
        """None, or the end of what the compiler said."""
        run = subprocess.run(["./dev", "build", *targets], cwd=self.tree, capture_output=True, text=True)
        return None if run.returncode == 0 else (run.stdout + run.stderr)[-4000:]

    def test(self, name, filter_):
        """Whether the test passed, the first case that failed, and how many cases ran."""
        environment = dict(os.environ, GTEST_FAIL_FAST="1")
        if filter_:
            environment["GTEST_FILTER"] = filter_
        ctest = "/usr/bin/ctest" if os.access("/usr/bin/ctest", os.X_OK) else "ctest"
        command = [ctest, "--test-dir", "build/release", "-R", rf"^{re.escape(name)}(\.[0-9]+)?$",
                   "-j", str(os.cpu_count()), "--verbose", "--no-tests=error"]
        with subprocess.Popen(command, cwd=self.tree, env=environment, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              start_new_session=True) as process:
            try:
                said, _ = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return False, f"not done after {TIMEOUT_S} s", 0
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return (process.returncode == 0, *read_ctest(said))


def read_ctest(said):
    """The first case that failed, or how a test ended without one, and how many cases ran."""
    ran = sum(int(n) for n in re.findall(r"\[==========\] (\d+) tests? from .* ran\.", said))
    failed = re.findall(r"^\d+: \[  FAILED  \] ([^\s,]+)(?:, where.*)? \(\d+ ms\)", said, re.M)
    other = re.findall(r"\*\*\*(?:Exception: *)?(\w+(?: [A-Za-z]+)*)", said)
    return failed[0] if failed else other[0].lower() if other else "", ran


def targets_of(fault):
    return fault.build + [test for test, filter_ in fault.caught_by.items() if filter_]


def try_fault(fault, tree, runner):
    """(outcome, detail): caught with what caught it, survives with what did not, or error."""
    path = os.path.join(tree, fault.file)
    if not os.path.isfile(path):
        return "error", f"'{fault.file}' is no file of the repository"
    text = read(path)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(fault.find, fault.replace))
        said = runner.build(targets_of(fault))
        if said is not None:
            return "error", "does not compile: " + said
        caught = []
        for test, filter_ in fault.caught_by.items():
            passed, detail, _ = runner.test(test, filter_)
            if passed:
                return "survives", f"{test} {filter_}".strip() + " passes"
            caught.append(f"{test}: {detail}" if detail else test)
        return "caught", "; ".join(caught)
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def check_without_fault(fault, runner, sound, state):
    """Runs the fault's tests on the sound copy, unless they passed on the same one before."""
    todo = [(t, f) for t, f in fault.caught_by.items() if sound.get(f"{t} {f}") != state]
    if not todo:
        return None
    said = runner.build(targets_of(fault))
    if said is not None:
        return "the copy does not build without the fault: " + said
    for test, filter_ in todo:
        passed, detail, ran = runner.test(test, filter_)
        if not passed:
            return f"{test} fails without the fault: {detail}"
        if filter_ and ran == 0:
            return f"{test} has no case that matches {filter_}"
        sound[f"{test} {filter_}"] = state
    return None


# --- the command ----------------------------------------------------------------------------------


def select(faults, patterns):
    if not patterns:
        return faults, []
    unknown = [p for p in patterns if not any(fnmatch.fnmatchcase(f.name, p) for f in faults)]
    return [f for f in faults if any(fnmatch.fnmatchcase(f.name, p) for p in patterns)], unknown


def key_of(root, fault, tests):
    folders = sorted({tests[test] for test in fault.caught_by} | {"tests/support"})
    shared = [read(os.path.join(root, p)) for p in SHARED if os.path.isfile(os.path.join(root, p))]
    return hash_of(fault.file, read(os.path.join(root, fault.file)), fault.find, fault.replace,
                   json.dumps([fault.caught_by, fault.build]), *shared, hash_of_folders(root, folders))


def table(faults, results):
    lines = []
    for fault in faults:
        result = results.get(fault.name)
        if result is None:
            lines.append((fault.name, fault.file, "not run", ""))
            continue
        what = result["detail"].strip().split("\n")[-1]
        if result["outcome"] != "caught":
            what = f"{result['outcome'].upper()}: {what}"
        lines.append((fault.name, fault.file, what, f"{result['seconds']:.0f} s"))
    widths = [max(len(line[i]) for line in lines) for i in (0, 1)]
    return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {d:>5}  {c}" for a, b, c, d in lines)


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def save(path, kept):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
    os.replace(path + ".new", path)


def load(path):
    try:
        kept = json.loads(read(path))
        return {"faults": kept["faults"], "sound": kept["sound"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"faults": {}, "sound": {}}


def run(root, faults, again, runner=None, out=print):
    """Runs those of `faults` that have no valid result. The results by name."""
    tree = os.path.join(root, FOLDER, "tree")
    os.makedirs(tree, exist_ok=True)
    results_path = os.path.join(root, FOLDER, "results.json")
    kept = load(results_path)
    results, tests = kept["faults"], tests_of(root)
    keys = {fault.name: key_of(root, fault, tests) for fault in faults}
    todo = [f for f in faults if again or results.get(f.name, {}).get("key") != keys[f.name]
            or results[f.name]["outcome"] == "error"]
    out(f"{len(faults)} faults, {len(faults) - len(todo)} of them known from before")
    if not todo:
        return results
    copy_tree(root, tree)
    runner = runner or Runner(tree)
    state = hash_of(*(n + "\n" + read_bytes_as_text(os.path.join(tree, n))
                      for n in repository_files(tree) if n.split("/")[0] not in ("docs", "build")))
    started = time.monotonic()
    for number, fault in enumerate(todo):
        begun = time.monotonic()
        detail = check_without_fault(fault, runner, kept["sound"], state)
        outcome, detail = ("error", detail) if detail else try_fault(fault, tree, runner)
        now = time.monotonic()
        results[fault.name] = {"key": keys[fault.name], "outcome": outcome, "detail": detail,
                               "seconds": now - begun}
        save(results_path, kept)
        left = (now - started) / (number + 1) * (len(todo) - number - 1)
        out(f"[{number + 1}/{len(todo)}] {fault.name}: {outcome}, {detail} "
            f"({duration(now - begun)}; about {duration(left)} left)")
    return results


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev mutate", description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="the faults and the last result of each")
    parser.add_argument("--again", action="store_true", help="run faults whose result is known, too")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a fault, or a pattern as 'softmax*'")
    options = parser.parse_args(arguments)
    root = "."
    faults, problems = read_faults(root)
    faults, unknown = select(faults, options.names)
    tests = tests_of(root)
    for fault in faults:
        problems += problems_of(root, fault, tests)
    problems += [f"no fault is named '{name}'; ./dev mutate --list has them all" for name in unknown]
    for problem in problems:
        print(f"mutate: {problem}", file=sys.stderr)
    if problems:
        return 1
    if options.list:
        print(table(faults, load(os.path.join(root, FOLDER, "results.json"))["faults"]))
        return 0
    os.makedirs(os.path.join(root, FOLDER), exist_ok=True)
    lock = open(os.path.join(root, FOLDER, "lock"), "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print(f"mutate: another one works in {FOLDER}; wait for its end", file=sys.stderr)
        return 1
    # However it is ended, the test that runs ends too, and the copy is as it was.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    try:
        results = run(root, faults, options.again, out=lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        print("mutate: interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    print(table(faults, results))
    caught = sum(results[fault.name]["outcome"] == "caught" for fault in faults)
    print(f"{caught} of {len(faults)} faults are caught")
    return 0 if caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

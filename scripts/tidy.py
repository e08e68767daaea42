"""Runs clang-tidy over our .cpp files but the tests, in parallel; a file whose text and headers are unchanged is not run again.

Usage: tidy.py --build BUILD --cache FOLDER [-j N]
The cache holds one empty file per clean result, named by a hash of the file, of every header of ours
that it reaches, of .clang-tidy and of the tool's version.

Where much has changed, as in a fresh clone, files of a folder are run several at a time, which takes a
third of the time; those of a group with findings, or which do not compile together, one by one after it.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from source_files import cpp_files

INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.MULTILINE)
UNUSED_ENTRIES_AGE_S = 30 * 24 * 3600
TOGETHER = 6  # files of a group
MANY = 40  # changed files that are worth groups


@functools.lru_cache(maxsize=None)
def text_and_includes(path):
    with open(path, "rb") as file:
        text = file.read()
    found = []
    for name in INCLUDE.findall(text):
        name = name.decode()
        beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
        for candidate in (name, os.path.join("include", name), beside):
            if os.path.isfile(candidate):
                found.append(candidate)
                break
    return text, tuple(found)


def fingerprint(path, common):
    """Hash of everything of ours that a compilation of `path` reads."""
    reached, waiting = {path}, [path]
    while waiting:
        for header in text_and_includes(waiting.pop())[1]:
            if header not in reached:
                reached.add(header)
                waiting.append(header)
    digest = hashlib.sha256(common)
    for name in sorted(reached):
        digest.update(name.encode() + b"\0" + hashlib.sha256(text_and_includes(name)[0]).digest())
    return digest.hexdigest()


def run(path, build):
    # -w: compiler warnings are the build's business, and GCC's options are not all known to Clang.
    result = subprocess.run(["clang-tidy-19", "-p", build, "--quiet", "--extra-arg=-w", path],
                            capture_output=True, text=True)
    return result.returncode, result.stdout + ("" if result.returncode == 0 else result.stderr)


def groups_of(paths):
    """Files of one folder, at most TOGETHER in a group."""
    folders = {}
    for path in paths:
        folders.setdefault(os.path.dirname(path), []).append(path)
    return [files[i:i + TOGETHER] for files in folders.values() for i in range(0, len(files), TOGETHER)]


def run_together(paths, commands):
    """Whether clang-tidy has nothing to say of a file that includes all of these, compiled as the first of them is."""
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "together.cpp")
        with open(name, "w", encoding="utf-8") as file:
            file.writelines(f'#include "{os.path.abspath(path)}"\n' for path in paths)
        entry = dict(commands[paths[0]], file=name)
        entry["command"] = entry["command"].rpartition(" -c ")[0] + " -c " + name
        with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump([entry], file)
        return run(name, folder)[0] == 0


def results_of(paths, commands, build, jobs):
    """Yields (path, status, output) of each, in the order of their ends."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        alone = list(paths)
        if len(paths) >= MANY:
            groups = groups_of(paths)
            for group, is_clean in zip(groups, pool.map(lambda group: run_together(group, commands), groups)):
                if is_clean:
                    for path in group:
                        alone.remove(path)
                        yield path, 0, ""
        runs = {pool.submit(run, path, build): path for path in alone}
        for future in concurrent.futures.as_completed(runs):
            yield runs[future], *future.result()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("-j", type=int, default=os.cpu_count())
    options = parser.parse_args()

    with open(os.path.join(options.build, "compile_commands.json"), encoding="utf-8") as file:
        commands = {os.path.relpath(os.path.join(c["directory"], c["file"])): c for c in json.load(file)}
    version = subprocess.run(["clang-tidy-19", "--version"], capture_output=True, check=True).stdout
    with open(".clang-tidy", "rb") as file:
        common = version + file.read()
    os.makedirs(options.cache, exist_ok=True)
    for name in os.listdir(options.cache):
        entry = os.path.join(options.cache, name)
        if time.time() - os.path.getmtime(entry) > UNUSED_ENTRIES_AGE_S:
            os.remove(entry)

    changed = {}
    # Tests are run, and run under sanitizers: checking them too would only double the time.
    files = [path for path in cpp_files(".")
             if path.endswith(".cpp") and path in commands and not path.startswith("tests/")]
    for path in files:
        entry = os.path.join(options.cache, fingerprint(path, common))
        if os.path.exists(entry):
            os.utime(entry)
        else:
            changed[path] = entry
    failed = 0
    for path, status, output in results_of(list(changed), commands, options.build, options.j):
        if status == 0:
            open(changed[path], "w", encoding="utf-8").close()
        else:
            failed += 1
            print(f"{path}:\n{output}", flush=True)
    print(f"clang-tidy: {len(files)} files, {len(changed)} run, {failed} with findings", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

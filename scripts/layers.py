"""Checks which folder may include which, where each third-party header lives, and what every file must keep.

Usage: layers.py ROOT. Prints `path:line: what was found; what is allowed` and exits 1 when there is any.
The tables below are the rules; tests/lint/layers_test.py holds one violation of each.
"""

import os
import re
import sys

from source_files import repository_files

# A folder may include only folders before it; the last four are side by side, and tests see everything.
LAYERS = ["support", "ir", "compiler", "codegen", "store", "runtime", "tuner"]
TOP_LAYERS = ["tools", "python", "bench", "tests"]

# Sub-folders that see the folder they stand in, and of their siblings only those named. The folder
# itself sees none of them. Layers that are not listed here leave their sub-folders free.
SIBLINGS = {
    "ir": {"graph": [], "program": [], "plan": ["program"]},
    "codegen": {"x86": [], "llvm": [], "ptx": []},
    "runtime": {
        "cpu": [],
        "attention": [],
        "artifact": [],
        "launch": ["artifact", "cpu"],
        "weights": ["cpu"],
        "library": ["launch", "artifact", "cpu"],
        "graph": ["library", "launch", "artifact", "weights", "cpu"],
        "packages": ["library", "launch", "artifact", "cpu"],
        "api": ["graph", "library", "launch", "artifact", "weights", "attention", "cpu"],
    },
}

# The backends are chosen by the executables: the layers between know only the interface in codegen/.
SEES_NO_BACKEND = ["store", "runtime", "tuner"]

# Headers that only tests include, and the folder they stand in.
TESTS_ONLY = ["support/described_host.h"]

# Third-party header (prefix) -> the folders that may include it.
THIRD_PARTY = {
    "xbyak/": ["codegen/x86"],
    "llvm/": ["codegen/llvm"],
    "llvm-c/": ["codegen/llvm"],
    "nvrtc.h": ["codegen/ptx"],
    "SQLiteCpp/": ["store", "tests/store"],
    "sqlite3.h": ["store"],
    "cuda.h": ["runtime/cuda"],
    "cuda_runtime": ["runtime/cuda"],
    "cpuinfo.h": ["support"],
    "xxhash.h": ["support"],
    "zlib.h": ["ir"],
    "Eigen/": ["runtime/attention"],
    "zip.h": ["runtime/packages"],
    "sodium.h": ["runtime/packages"],
    "CLI/": ["tools", "bench"],
    "benchmark/": ["bench"],
    "gtest/": ["tests"],
    "gmock/": ["tests"],
}

# What a public header may include besides the standard library and <lathe/...>.
PUBLIC_THIRD_PARTY = ["tl/expected.hpp"]

MAXIMUM_LINES = 500
# path -> why one idea needs more lines there.
LONG_FILES = {}

CPP = (".cpp", ".h", ".hpp", ".c")
SOURCES = CPP + (".py", ".sh", ".cmake", "CMakeLists.txt")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
NAMESPACE = re.compile(r"^\s*(?:inline\s+)?namespace\s+([A-Za-z_][\w:]*)\s*(?:\{|$)")
LIBRARY = re.compile(r"\blathe_library\(\s*NAME\s+([\w:]+)")
MACHINE_PATH = re.compile(r"(?<![\w.~$}*-])(?<!::)/(?:home|root|work|Users)/\w")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def folder_of(path):
    """'ir/graph/parser.h' -> 'ir/graph'; a file in the root -> ''."""
    return path.rpartition("/")[0]


def split(folder):
    """'ir/graph/x' -> ('ir', 'graph')."""
    parts = folder.split("/")
    return parts[0], parts[1] if len(parts) > 1 else ""


def include_rule(source, target):
    """Why the folder `source` may not include a file of the folder `target`; None when it may."""
    from_layer, from_sub = split(source)
    to_layer, to_sub = split(target)
    if from_layer == "tests":
        return None
    if from_layer == to_layer:
        siblings = SIBLINGS.get(from_layer)
        if not siblings or from_sub == to_sub or not to_sub:
            return None
        if not from_sub:
            return f"{from_layer}/ itself includes none of its sub-folders"
        if to_sub not in siblings.get(from_sub, []):
            return f"{from_layer}/{from_sub} may include of its siblings only {siblings.get(from_sub, [])}"
        return None
    if to_layer in TOP_LAYERS:
        return f"nothing but tests includes {to_layer}/"
    if from_layer in LAYERS and LAYERS.index(to_layer) > LAYERS.index(from_layer):
        return "the order is " + " < ".join(LAYERS)
    if to_layer == "codegen" and to_sub in SIBLINGS["codegen"] and from_layer in SEES_NO_BACKEND:
        return "only an executable names its backends; use codegen/backend.h"
    return None


def check_include(path, quote, name):
    folder = folder_of(path)
    if path.startswith("include/lathe/"):
        if quote == '"':
            return f'"{name}": a public header includes nothing internal'
        if "/" in name and not name.startswith(("lathe/", "sys/")) and name not in PUBLIC_THIRD_PARTY:
            return f"<{name}>: of other libraries a public header may include only {PUBLIC_THIRD_PARTY}"
    if quote == '"':
        if name.startswith("include/") or name.startswith("lathe/"):
            return f'"{name}": public headers are included as <lathe/...>'
        if name.split("/")[0] not in LAYERS + TOP_LAYERS or "/" not in name:
            return f'"{name}": our headers are included by their path from the repository\'s root'
        if name in TESTS_ONLY and folder_of(name) != folder and split(folder)[0] != "tests":
            return f'"{name}" from {folder}/: only tests describe another machine'
        reason = include_rule(folder, folder_of(name))
        return f'"{name}" from {folder}/: {reason}' if reason else None
    if name.split("/")[0] in LAYERS + TOP_LAYERS and "/" in name:
        return f"<{name}>: our own headers are included with quotes"
    for header, homes in THIRD_PARTY.items():
        if name.startswith(header) and not any(f"{folder}/".startswith(f"{home}/") for home in homes):
            return f"<{name}> from {folder or '.'}/: this library is used only in {', '.join(homes)}"
    return None


def check_namespace(path, name):
    """Folder = namespace: lathe, then the folder's own path or a part or an extension of it."""
    layer = split(folder_of(path))[0]
    parts = name.split("::")
    if layer not in LAYERS or parts[0] != "lathe":
        return None
    folders = folder_of(path).split("/")
    common = min(len(folders), len(parts) - 1)
    if parts[1 : 1 + common] != folders[:common]:
        return f"namespace {name}: files of this folder declare lathe::{'::'.join(folders)}"
    return None


def first_line_is_comment(path, lines):
    first = 1 if lines[0].startswith("#!") and len(lines) > 1 else 0
    if path.endswith(CPP):
        return lines[first].startswith(("// ", "/* "))
    return lines[first].startswith(("# ", '"""'))


def check_file(path, text):
    """All findings in one file: a list of (line, message)."""
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        if MACHINE_PATH.search(line):
            found.append((number, "a path of one machine; paths are relative or come from the environment"))
        if UNFINISHED.search(line):
            found.append((number, "an unfinished note; finish it or leave it out"))
        if not path.endswith(CPP):
            continue
        include = INCLUDE.match(line)
        if include:
            message = check_include(path, *include.groups())
            if message:
                found.append((number, message))
        namespace = NAMESPACE.match(line)
        if namespace:
            message = check_namespace(path, namespace.group(1))
            if message:
                found.append((number, message))
    if path.endswith(SOURCES) or os.path.basename(path) == "dev":
        if not first_line_is_comment(path, lines):
            found.append((1, "the first line is not a comment that says what the file is"))
        count = len(text.splitlines())
        if count > MAXIMUM_LINES and path not in LONG_FILES:
            found.append((count, f"{count} lines; more than {MAXIMUM_LINES} want splitting"))
        if count <= MAXIMUM_LINES and path in LONG_FILES:
            found.append((count, "no longer a long file: take it off LONG_FILES in scripts/layers.py"))
    if path.endswith("CMakeLists.txt") and split(path)[0] in LAYERS:
        expected = folder_of(path).replace("/", "::")
        for name in LIBRARY.findall(text):
            if name != expected and not name.startswith(expected + "::"):
                found.append((1, f"lathe_library(NAME {name}): the target of this folder is {expected}"))
    return found


def check_tree(root):
    """Findings of the whole repository as printable lines."""
    found = []
    for path in repository_files(root):
        with open(os.path.join(root, path), "rb") as file:
            data = file.read()
        if b"\0" in data:
            continue
        text = data.decode("utf-8", errors="replace")
        if text:
            found += [f"{path}:{line}: {message}" for line, message in check_file(path, text)]
    found += [f"{path}:1: listed in LONG_FILES but not there" for path in LONG_FILES
              if not os.path.exists(os.path.join(root, path))]
    return found


if __name__ == "__main__":
    findings = check_tree(sys.argv[1])
    print("\n".join(findings + [f"layers: {len(findings)} findings"]), file=sys.stderr)
    sys.exit(1 if findings else 0)

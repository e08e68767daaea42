"""Lists the repository's C++ files (tracked or new, not ignored), separated by NUL, for ./dev."""

import os
import subprocess
import sys

SUFFIXES = (".cpp", ".h", ".hpp", ".c")
SKIPPED_FOLDERS = {"build", ".git", ".venv", ".cache", "__pycache__"}


def repository_files(root):
    """Every file of the repository relative to `root`; outside git, every file not in a build folder."""
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True) if os.path.exists(os.path.join(root, ".git")) else None
    if listed and listed.returncode == 0:
        names = listed.stdout.split("\0")
    else:
        names = []
        for folder, folders, files in os.walk(root):
            folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return sorted(n for n in set(names) if n and os.path.isfile(os.path.join(root, n)))


def cpp_files(root):
    return [n for n in repository_files(root) if n.endswith(SUFFIXES)]


if __name__ == "__main__":
    sys.stdout.write("\0".join(cpp_files(".")))

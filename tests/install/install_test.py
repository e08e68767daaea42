"""Installs the build folder given, builds tests/install/consumer against it with find_package, runs it.

Usage: install_test.py CMAKE BUILD COMPILER [--without LIBRARY…]; --without names shared libraries that
the consumer must not depend on (a runtime-only build without LLVM).
"""

import argparse
import os
import subprocess
import sys
import tempfile


def run(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        print(" ".join(command), result.stdout, sep="\n")
        sys.exit(1)
    return result.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cmake")
    parser.add_argument("build")
    parser.add_argument("compiler")
    parser.add_argument("--without", nargs="*", default=[])
    options = parser.parse_args()
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consumer")
    with tempfile.TemporaryDirectory() as folder:
        prefix, consumer = os.path.join(folder, "prefix"), os.path.join(folder, "consumer")
        run(options.cmake, "--install", options.build, "--prefix", prefix)
        run(options.cmake, "-S", source, "-B", consumer, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DCMAKE_CXX_COMPILER={options.compiler}", "-DCMAKE_BUILD_TYPE=Release")
        run(options.cmake, "--build", consumer)
        program = os.path.join(consumer, "consumer")
        run(program)
        needed = run("ldd", program)
        for library in options.without:
            if library in needed:
                print(f"the consumer depends on {library}, which this build leaves out:\n{needed}")
                sys.exit(1)


if __name__ == "__main__":
    main()

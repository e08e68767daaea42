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


def shared_library(prefix):
    """The installed liblathe.so."""
    for folder, _, files in os.walk(prefix):
        if "liblathe.so" in files:
            return os.path.join(folder, "liblathe.so")
    print(f"no liblathe.so under {prefix}")
    sys.exit(1)


def check_exports(prefix):
    """The shared library shows the C interface, and by which names gdb finds generated code."""
    allowed = ("lathe_", "LATHE_", "__jit_debug_")
    names = [line.split()[-1] for line in run("nm", "-D", "--defined-only", shared_library(prefix)).splitlines()]
    others = [name for name in names if not name.startswith(allowed)]
    if others or not any(name.startswith("lathe_library_open") for name in names):
        print("liblathe.so exports, beside or instead of its C interface:", *others[:20], sep="\n")
        sys.exit(1)


def run_c_program(compiler, source, prefix, folder):
    """A program in C that knows the installed header and shared library alone."""
    library = os.path.dirname(shared_library(prefix))
    program = os.path.join(folder, "c_consumer")
    run(compiler, "-x", "c", "-std=c99", os.path.join(source, "main.c"), "-x", "none", "-I",
        os.path.join(prefix, "include"), "-L", library, "-llathe", f"-Wl,-rpath,{library}", "-o", program)
    run(program)


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
        check_exports(prefix)
        run_c_program(options.compiler, source, prefix, folder)
        program = os.path.join(consumer, "consumer")
        run(program)
        needed = run("ldd", program)
        for library in options.without:
            if library in needed:
                print(f"the consumer depends on {library}, which this build leaves out:\n{needed}")
                sys.exit(1)


if __name__ == "__main__":
    main()

# Build options and compiler flags, the same for every target.

option(LATHE_TESTS "Build the tests" ON)
option(LATHE_BENCH "Build the benchmarks and probes" ON)
option(LATHE_LLVM "Build the LLVM backend (codegen/llvm)" ON)
option(LATHE_TUNER "Build the tuner and qwen3vl-tune" ON)
option(LATHE_FUZZ "Build the libFuzzer targets (needs Clang)" OFF)
option(LATHE_PRECOMPILE "Compile headers of libraries once for all files" ON)
option(LATHE_UNITY "Compile a target's files several at a time: quicker from nothing, slower for small changes" OFF)
set(LATHE_SANITIZE "" CACHE STRING "Sanitizers: empty, 'address;undefined' or 'thread'")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

# Floating point in C++ means what is written: no fused multiply-add that the source does not ask for.
add_compile_options(-Wall -Wextra -Wpedantic -Werror -ffp-contract=off -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)  # GCC bug 105651: false for "literal" + std::string
  if(LATHE_PRECOMPILE)
    # GCC bug 105329: false for std::string = "literal"; in a precompiled <string> it is no system header's.
    add_compile_options(-Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds)
  endif()
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # libstdc++ 12's own stable_sort calls std::get_temporary_buffer, which C++17 deprecates.
  add_compile_options(-Wno-deprecated-declarations)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND LATHE_SANITIZE)
  # GCC 12 reports these falsely once sanitizer instrumentation changes its value ranges.
  add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds)
endif()

if(LATHE_SANITIZE)
  list(JOIN LATHE_SANITIZE "," sanitizers)
  add_compile_options(-fsanitize=${sanitizers} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${sanitizers})
endif()
if(LATHE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "LATHE_FUZZ needs Clang's libFuzzer, found ${CMAKE_CXX_COMPILER_ID}: "
                        "configure with CXX=clang++-19 in a fresh build folder")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Names that a DEPENDS list may mention although this configuration leaves them out.
set(LATHE_LEFT_OUT "")
if(NOT LATHE_LLVM)
  list(APPEND LATHE_LEFT_OUT codegen::llvm)
endif()
if(NOT LATHE_TUNER)
  list(APPEND LATHE_LEFT_OUT tuner tuner::packages)
endif()

# The same object at another path is the same object: clones share ccache's store. It may keep what is made of
# precompiled headers where no macro of a command line changes them, which the compilers see to.
find_program(LATHE_CCACHE ccache)
if(LATHE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
               CCACHE_SLOPPINESS=pch_defines,time_macros
               ${LATHE_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)  # ccache asks for it
  endif()
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
endif()

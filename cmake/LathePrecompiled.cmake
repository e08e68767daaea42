# What nearly every file includes, compiled once for all: a third of a build from nothing. Only headers of the
# standard library and of third parties stand here, so no change of ours compiles them again, and every file
# includes what it uses all the same: lint reads changed files one by one, without these.

set(lathe_precompiled_headers
  <algorithm> <array> <atomic> <chrono> <cmath> <cstdint> <filesystem> <fstream> <functional> <map> <memory> <mutex>
  <optional> <set> <span> <sstream> <string> <string_view> <thread> <tuple> <unordered_map> <utility> <variant>
  <vector> <fmt/format.h> <tl/expected.hpp>)

# lathe_precompiled_set(NAME lathe_precompiled LIBRARIES … HEADERS … OPTIONS …): for lathe_use_precompiled().
function(lathe_precompiled_set)
  cmake_parse_arguments(ARG "" "NAME" "LIBRARIES;HEADERS;OPTIONS" ${ARGN})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${ARG_NAME}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "// Only to have its headers compiled.\n")
  add_library(${ARG_NAME} OBJECT ${source})
  target_link_libraries(${ARG_NAME} PRIVATE fmt::fmt tl::expected Threads::Threads ${ARG_LIBRARIES})
  target_compile_options(${ARG_NAME} PRIVATE ${ARG_OPTIONS})
  target_precompile_headers(${ARG_NAME} PRIVATE ${ARG_HEADERS})
endfunction()

if(LATHE_PRECOMPILE)
  # One set serves libraries and programs.
  set(CMAKE_CXX_COMPILE_OPTIONS_PIE ${CMAKE_CXX_COMPILE_OPTIONS_PIC})
  lathe_precompiled_set(NAME lathe_precompiled HEADERS ${lathe_precompiled_headers})
  if(LATHE_TESTS)
    lathe_precompiled_set(NAME lathe_precompiled_tests LIBRARIES GTest::gtest GTest::gmock
      OPTIONS ${lathe_test_optimisation} HEADERS ${lathe_precompiled_headers} <gtest/gtest.h> <gmock/gmock.h>)
  endif()
endif()

# lathe_library(), lathe_executable(), lathe_test() and friends: one folder, one namespace, one target.
#
# DEPENDS names our own targets without the lathe:: prefix (`ir::graph`). A library whose
# dependency this configuration leaves out is an error; an executable or a test is left out with it.
# OPTIONAL_DEPENDS links what is there and defines LATHE_HAS_<NAME> (LATHE_HAS_CODEGEN_LLVM) as 0 or 1.

include(GNUInstallDirs)

# ir::graph -> lathe_ir_graph
function(lathe_target_name name out)
  string(REPLACE "::" "_" flat "${name}")
  set(${out} lathe_${flat} PARENT_SCOPE)
endfunction()

# Whether any of ARGN is left out of this configuration.
function(lathe_any_left_out out)
  set(${out} FALSE PARENT_SCOPE)
  foreach(name IN LISTS ARGN)
    if(name IN_LIST LATHE_LEFT_OUT)
      set(${out} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

function(lathe_link target scope)
  foreach(name IN LISTS ARGN)
    lathe_target_name(${name} dependency)
    target_link_libraries(${target} ${scope} ${dependency})
  endforeach()
endfunction()

function(lathe_link_optional target scope)
  foreach(name IN LISTS ARGN)
    string(REPLACE "::" "_" macro "${name}")
    string(TOUPPER "LATHE_HAS_${macro}" macro)
    if(name IN_LIST LATHE_LEFT_OUT)
      target_compile_definitions(${target} PRIVATE ${macro}=0)
    else()
      target_compile_definitions(${target} PRIVATE ${macro}=1)
      lathe_link(${target} ${scope} ${name})
    endif()
  endforeach()
endfunction()

# CMake takes a set of precompiled headers for each language that a target has; those of C have none.
macro(lathe_use_precompiled target headers)
  get_target_property(sources ${target} SOURCES)
  if(LATHE_PRECOMPILE AND NOT sources MATCHES "\\.c(;|$)")
    target_precompile_headers(${target} REUSE_FROM ${headers})
  endif()
endmacro()

# With LATHE_UNITY a target's files are compiled several at a time, so that what they include is read
# once for all of them. SEPARATE: not this target's, whose files have internal functions of the same names, or of
# whose files some programs link but a few.
macro(lathe_compile_together target)
  if(LATHE_UNITY AND NOT ARG_SEPARATE)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
  endif()
endmacro()

# lathe_library(NAME ir::graph SOURCES a.cpp DEPENDS support ir PUBLIC_LIBS fmt::fmt PRIVATE_LIBS X [SEPARATE])
# makes the static library lathe_ir_graph, alias lathe::ir::graph; without SOURCES it is header-only.
function(lathe_library)
  cmake_parse_arguments(ARG "SEPARATE" "NAME" "SOURCES;DEPENDS;OPTIONAL_DEPENDS;PUBLIC_LIBS;PRIVATE_LIBS" ${ARGN})
  lathe_check_arguments(lathe_library)
  lathe_any_left_out(left_out ${ARG_DEPENDS})
  if(left_out)
    message(FATAL_ERROR "lathe_library(${ARG_NAME}): depends on a folder that this configuration "
                        "leaves out (${LATHE_LEFT_OUT}); guard its add_subdirectory or use OPTIONAL_DEPENDS")
  endif()
  lathe_target_name(${ARG_NAME} target)
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    lathe_compile_together(${target})
    lathe_use_precompiled(${target} lathe_precompiled)
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(lathe::${ARG_NAME} ALIAS ${target})
  target_include_directories(${target} ${scope}
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} ${scope} cxx_std_20)
  lathe_link(${target} ${scope} ${ARG_DEPENDS})
  lathe_link_optional(${target} ${scope} ${ARG_OPTIONAL_DEPENDS})
  if(ARG_PUBLIC_LIBS)
    target_link_libraries(${target} ${scope} ${ARG_PUBLIC_LIBS})
  endif()
  if(ARG_PRIVATE_LIBS)
    target_link_libraries(${target} PRIVATE ${ARG_PRIVATE_LIBS})
  endif()
  # What programs and tests share among themselves is nothing to install.
  if(NOT ARG_NAME MATCHES "^(tools|bench|tests)(::|$)")
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${ARG_NAME})
    install(TARGETS ${target} EXPORT lathe-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endfunction()

# lathe_executable(NAME lathe SOURCES main.cpp DEPENDS runtime LIBS CLI11::CLI11 [INSTALL] [SEPARATE])
# makes build/<preset>/bin/<NAME>; INSTALL puts it into the installed bin folder too.
function(lathe_executable)
  cmake_parse_arguments(ARG "INSTALL;SEPARATE" "NAME" "SOURCES;DEPENDS;OPTIONAL_DEPENDS;LIBS" ${ARGN})
  lathe_check_arguments(lathe_executable)
  lathe_any_left_out(left_out ${ARG_DEPENDS})
  if(left_out)
    return()
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  lathe_compile_together(${ARG_NAME})
  lathe_use_precompiled(${ARG_NAME} lathe_precompiled)
  target_include_directories(${ARG_NAME} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  lathe_link(${ARG_NAME} PRIVATE ${ARG_DEPENDS})
  lathe_link_optional(${ARG_NAME} PRIVATE ${ARG_OPTIONAL_DEPENDS})
  if(ARG_LIBS)
    target_link_libraries(${ARG_NAME} PRIVATE ${ARG_LIBS})
  endif()
  if(ARG_INSTALL)
    install(TARGETS ${ARG_NAME} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()

# A test's own code runs for moments, what it tests is optimised as ever: half of the time to compile it.
set(lathe_test_optimisation $<$<CONFIG:Release>:-Og>)

# lathe_test(NAME unit_ir_graph_parser SOURCES parser_test.cpp DEPENDS ir::graph LABELS unit
#            [LIBS …] [ENVIRONMENT A=b …] [TIMEOUT seconds] [SHARDS n] [SERIAL] [SEPARATE])
# makes one GoogleTest binary and one ctest entry per shard. ./dev test counts the cases in the XML
# that each entry leaves in <binary dir>/test-results. SERIAL: run with no other test beside it.
function(lathe_test)
  cmake_parse_arguments(ARG "SERIAL;SEPARATE" "NAME;TIMEOUT;SHARDS"
    "SOURCES;DEPENDS;OPTIONAL_DEPENDS;LIBS;LABELS;ENVIRONMENT" ${ARGN})
  lathe_check_arguments(lathe_test)
  lathe_any_left_out(left_out ${ARG_DEPENDS})
  if(left_out OR NOT LATHE_TESTS)
    return()
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  lathe_compile_together(${ARG_NAME})
  target_include_directories(${ARG_NAME} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  lathe_link(${ARG_NAME} PRIVATE ${ARG_DEPENDS})
  lathe_link_optional(${ARG_NAME} PRIVATE ${ARG_OPTIONAL_DEPENDS})
  target_link_libraries(${ARG_NAME} PRIVATE GTest::gtest_main GTest::gmock ${ARG_LIBS})
  lathe_use_precompiled(${ARG_NAME} lathe_precompiled_tests)
  target_compile_options(${ARG_NAME} PRIVATE ${lathe_test_optimisation})
  lathe_add_gtest_entries(${ARG_NAME} ${ARG_NAME} "")
endfunction()

# lathe_rerun(NAME kernels_without_avx TEST oracle_kernels LAUNCHER qemu-x86_64 -cpu Nehalem
#             [LABELS …] [ENVIRONMENT …] [ARGUMENTS --gtest_filter=…] [TIMEOUT s] [SHARDS n] [SERIAL])
# runs the binary of an existing lathe_test a second time, under a launcher or another environment.
# Sanitized binaries are left out under a launcher: their shadow memory does not fit into an emulator.
function(lathe_rerun)
  cmake_parse_arguments(ARG "SERIAL" "NAME;TEST;TIMEOUT;SHARDS" "LAUNCHER;LABELS;ENVIRONMENT;ARGUMENTS" ${ARGN})
  lathe_check_arguments(lathe_rerun)
  if(TARGET ${ARG_TEST} AND NOT (LATHE_SANITIZE AND ARG_LAUNCHER))
    lathe_add_gtest_entries(${ARG_NAME} ${ARG_TEST} "${ARG_LAUNCHER}")
  endif()
endfunction()

# lathe_script_test(NAME lint_layers COMMAND python3 … LABELS unit [ENVIRONMENT …] [TIMEOUT s])
# adds a test that is not GoogleTest: it counts as one case, exit status 77 means skipped.
function(lathe_script_test)
  cmake_parse_arguments(ARG "SERIAL" "NAME;TIMEOUT" "COMMAND;LABELS;ENVIRONMENT" ${ARGN})
  lathe_check_arguments(lathe_script_test)
  if(NOT LATHE_TESTS)
    return()
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_COMMAND})
  lathe_set_test_properties(${ARG_NAME} "")
  set_property(TEST ${ARG_NAME} PROPERTY SKIP_RETURN_CODE 77)
  list(GET ARG_COMMAND 0 program)
  if(TARGET ${program})
    set_property(TEST ${ARG_NAME} PROPERTY REQUIRED_FILES $<TARGET_FILE:${program}>)
  endif()
endfunction()

# lathe_fuzz(NAME fuzz_graph_text SOURCES graph_text_fuzz.cpp DEPENDS ir::graph)
# SOURCES define LLVMFuzzerTestOneInput; seeds lie in tests/fuzz/<NAME>/. With LATHE_FUZZ it becomes
# a libFuzzer program that `./dev fuzz` runs, otherwise a test that replays seeds and fixed mutations.
function(lathe_fuzz)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPENDS;LIBS" ${ARGN})
  lathe_check_arguments(lathe_fuzz)
  if(LATHE_FUZZ)
    lathe_executable(NAME ${ARG_NAME} SOURCES ${ARG_SOURCES} DEPENDS ${ARG_DEPENDS} LIBS ${ARG_LIBS})
    if(TARGET ${ARG_NAME})
      target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    endif()
  else()
    lathe_test(NAME ${ARG_NAME} SOURCES ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.cpp
      DEPENDS ${ARG_DEPENDS} LIBS ${ARG_LIBS} LABELS fuzz)
    if(TARGET ${ARG_NAME})
      target_compile_definitions(${ARG_NAME} PRIVATE LATHE_FUZZ_SEEDS="tests/fuzz/${ARG_NAME}")
    endif()
  endif()
endfunction()

# The parts below are shared by the functions above; they read their caller's ARG_ variables.

macro(lathe_check_arguments function)
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${function}(${ARG_NAME}): unknown arguments: ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT ARG_NAME)
    message(FATAL_ERROR "${function}: NAME is missing")
  endif()
endmacro()

# What a user may have set for his own runs of the programs says nothing about the tests.
set(lathe_no_settings_of_the_user LATHE_TARGET=unset: LATHE_THREADS=unset: LATHE_LOG=unset:
  LATHE_PERF_MAP=unset: LATHE_GDB=unset: LC_ALL=set:C.UTF-8)

macro(lathe_set_test_properties entry results)
  set(environment XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/test-cache ${ARG_ENVIRONMENT})  # never the user's store
  if(NOT "${results}" STREQUAL "")
    list(APPEND environment "GTEST_OUTPUT=xml:${CMAKE_BINARY_DIR}/test-results/${results}.xml")
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 1500)  # only what hangs takes as long, however loaded the machine
  endif()
  set_tests_properties(${entry} PROPERTIES LABELS "${ARG_LABELS}" ENVIRONMENT "${environment}"
    TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL ${ARG_SERIAL} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    ENVIRONMENT_MODIFICATION "${lathe_no_settings_of_the_user}")
endmacro()

macro(lathe_add_gtest_entries name program launcher)
  if(NOT ARG_SHARDS)
    set(ARG_SHARDS 1)
  endif()
  set(test_environment ${ARG_ENVIRONMENT})
  math(EXPR last_shard "${ARG_SHARDS} - 1")
  foreach(shard RANGE ${last_shard})
    set(entry ${name})
    set(ARG_ENVIRONMENT ${test_environment})
    if(ARG_SHARDS GREATER 1)
      set(entry ${name}.${shard})
      list(APPEND ARG_ENVIRONMENT GTEST_TOTAL_SHARDS=${ARG_SHARDS} GTEST_SHARD_INDEX=${shard})
    endif()
    add_test(NAME ${entry} COMMAND ${launcher} $<TARGET_FILE:${program}> ${ARG_ARGUMENTS})
    lathe_set_test_properties(${entry} ${entry})
    set_tests_properties(${entry} PROPERTIES REQUIRED_FILES $<TARGET_FILE:${program}>)
  endforeach()
endmacro()

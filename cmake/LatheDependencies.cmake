# Third-party libraries, all from Debian 12; each is used by the folder named beside it.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)                  # support and everywhere above
find_package(tl-expected REQUIRED)          # support
find_package(nlohmann_json REQUIRED)        # compiler/models, store, runtime, tools
find_package(xbyak REQUIRED)                # codegen/x86
find_package(SQLiteCpp REQUIRED)            # store
find_package(Eigen3 3.4 REQUIRED NO_MODULE) # runtime/attention
find_package(CLI11 REQUIRED)                # tools

# lathe_import(NAME HEADER LIBRARY PACKAGE): an imported target for a library without a CMake file.
function(lathe_import name header library package)
  string(MAKE_C_IDENTIFIER LATHE_${library} variable)
  find_path(${variable}_INCLUDE ${header})
  find_library(${variable}_LIBRARY ${library})
  if(NOT ${variable}_INCLUDE OR NOT ${variable}_LIBRARY)
    message(FATAL_ERROR "${name}: <${header}> or lib${library} not found: apt-get install ${package}")
  endif()
  if(NOT TARGET ${name})
    add_library(${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${${variable}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${${variable}_INCLUDE})
    target_link_libraries(${name} INTERFACE Threads::Threads)
  endif()
endfunction()

lathe_import(cpuinfo::cpuinfo cpuinfo.h cpuinfo libcpuinfo-dev)                      # support
lathe_import(xxhash::xxhash xxhash.h xxhash libxxhash-dev)                           # support
lathe_import(zlib::zlib zlib.h z zlib1g-dev)                                         # ir (.npz)
lathe_import(zip::zip zip.h zip libzip-dev)                                          # runtime/packages
lathe_import(sodium::sodium sodium.h sodium libsodium-dev)                           # runtime/packages

if(LATHE_LLVM)  # codegen/llvm
  find_package(LLVM 19.1 CONFIG REQUIRED HINTS /usr/lib/llvm-19/lib/cmake/llvm)
  add_library(LLVM::LLVM INTERFACE IMPORTED GLOBAL)
  target_include_directories(LLVM::LLVM SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
  target_link_libraries(LLVM::LLVM INTERFACE LLVM)
endif()
if(LATHE_TESTS)
  find_package(GTest REQUIRED)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
endif()
if(LATHE_BENCH)
  find_package(benchmark REQUIRED)
endif()

# `cmake --install`: libraries, public headers, programs, and what find_package(lathe) reads.

include(CMakePackageConfigHelpers)
set(lathe_cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/lathe)

# The one target that a user names: everything this configuration has.
add_library(lathe_all INTERFACE)
add_library(lathe::lathe ALIAS lathe_all)
set_target_properties(lathe_all PROPERTIES EXPORT_NAME lathe)
foreach(name runtime runtime::default_backends codegen::llvm)
  lathe_target_name(${name} target)
  if(TARGET ${target})
    target_link_libraries(lathe_all INTERFACE ${target})
  endif()
endforeach()
install(TARGETS lathe_all EXPORT lathe-targets)

install(DIRECTORY include/lathe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/lathe)
install(EXPORT lathe-targets NAMESPACE lathe:: DESTINATION ${lathe_cmake_folder})
configure_package_config_file(cmake/lathe-config.cmake.in ${CMAKE_BINARY_DIR}/lathe-config.cmake
  INSTALL_DESTINATION ${lathe_cmake_folder})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/lathe-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/lathe-config.cmake ${CMAKE_BINARY_DIR}/lathe-config-version.cmake
  cmake/LatheDependencies.cmake DESTINATION ${lathe_cmake_folder})

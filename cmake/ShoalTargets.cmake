# One folder = one library = one test program.
#
#   shoal_folder(NAME object_s3 DEPS object CURL::libcurl [PRIVATE_DEPS ...] [TEST_DEPS sim] [TEST_COST 50]
#                [TEST_TIMEOUT 600] [PROTOS x.proto])
#
# builds every *.cc of the folder (but *_test.cc, *_main.cc) into shoal_<NAME>, and every *_test.cc into the
# program <NAME>_test, which ctest runs under the label "unit". DEPS without "::" name other folders.
# PROTOS are compiled into the library; only its own .cc files may include what they become, "<folder>/x.pb.h".
function(shoal_link target visibility)
  foreach(dep ${ARGN})
    if(dep MATCHES "^[a-z_0-9]+$")
      target_link_libraries(${target} ${visibility} shoal_${dep})
    else()
      target_link_libraries(${target} ${visibility} ${dep})
    endif()
  endforeach()
endfunction()

# unit_tests: every test program that ctest runs under the label "unit", and nothing else. What the sanitizer
# presets build.
add_custom_target(unit_tests)

# A test program outside src/ (say, tests/model), <NAME>_test. What runs it is said by shoal_run.
function(shoal_program)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS" ${ARGN})
  if(SHOAL_TESTS)
    add_executable(${ARG_NAME}_test ${ARG_SOURCES})
    shoal_link(${ARG_NAME}_test PRIVATE ${ARG_DEPS})
    target_link_libraries(${ARG_NAME}_test PRIVATE GTest::gtest GTest::gtest_main)
  endif()
endfunction()

# A run of a test program by ctest; one program may have many.
#
#   shoal_run(NAME model_memory PROGRAM model_test [ARGS --gtest_filter=…] [ENVIRONMENT A=1] [LABEL unit] [TIMEOUT 300] [COST 50])
#
# COST: seconds it takes under a sanitizer; ctest starts the longest first. What runs on RocksDB says so in its name: Debian's RocksDB is not instrumented, so under the sanitizer for threads such
# runs would tell nothing; they are neither registered nor built there.
function(shoal_run)
  cmake_parse_arguments(ARG "" "NAME;PROGRAM;LABEL;TIMEOUT;COST" "ARGS;ENVIRONMENT" ${ARGN})
  if(NOT SHOAL_TESTS OR (SHOAL_SANITIZE STREQUAL "thread" AND ARG_NAME MATCHES "rocksdb"))
    return()
  endif()
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(SHOAL_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 3")
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_PROGRAM} ${ARG_ARGS})
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${ARG_ENVIRONMENT}")
  if(ARG_COST)
    set_tests_properties(${ARG_NAME} PROPERTIES COST ${ARG_COST})
  endif()
  if(ARG_LABEL STREQUAL "unit")
    add_dependencies(unit_tests ${ARG_PROGRAM})
  endif()
endfunction()

# Generated code lies in the build folder and is compiled without our warnings. The target `protos` makes it, for
# what reads sources without building them (tools/clang-tidy.sh).
add_custom_target(protos)
function(shoal_protos target)
  set(gen ${CMAKE_BINARY_DIR}/gen)
  file(MAKE_DIRECTORY ${gen})
  foreach(proto ${ARGN})
    set(source ${CMAKE_CURRENT_SOURCE_DIR}/${proto})
    file(RELATIVE_PATH stem ${CMAKE_SOURCE_DIR}/src ${source})
    string(REGEX REPLACE "\\.proto$" "" stem ${gen}/${stem})
    add_custom_command(OUTPUT ${stem}.pb.cc ${stem}.pb.h DEPENDS ${source}
      COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR}/src --cpp_out=${gen} ${source})
    set_source_files_properties(${stem}.pb.cc PROPERTIES COMPILE_OPTIONS -w)
    target_sources(${target} PRIVATE ${stem}.pb.cc ${stem}.pb.h)
    list(APPEND headers ${stem}.pb.h)
  endforeach()
  add_custom_target(protos_of_${target} DEPENDS ${headers})
  add_dependencies(protos protos_of_${target})
  target_include_directories(${target} SYSTEM PRIVATE ${gen})
  target_link_libraries(${target} PRIVATE protobuf::libprotobuf-lite)
endfunction()

function(shoal_folder)
  cmake_parse_arguments(ARG "" "NAME;TEST_COST;TEST_TIMEOUT" "DEPS;PRIVATE_DEPS;TEST_DEPS;PROTOS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(sources)
    add_library(shoal_${ARG_NAME} STATIC ${sources})
    shoal_link(shoal_${ARG_NAME} PUBLIC ${ARG_DEPS})
    shoal_link(shoal_${ARG_NAME} PRIVATE ${ARG_PRIVATE_DEPS})
    if(ARG_PROTOS)
      shoal_protos(shoal_${ARG_NAME} ${ARG_PROTOS})
    endif()
  else()
    add_library(shoal_${ARG_NAME} INTERFACE)
    shoal_link(shoal_${ARG_NAME} INTERFACE ${ARG_DEPS} ${ARG_PRIVATE_DEPS})
  endif()
  if(SHOAL_TESTS AND tests)
    add_executable(${ARG_NAME}_test ${tests})
    shoal_link(${ARG_NAME}_test PRIVATE ${ARG_NAME} ${ARG_TEST_DEPS})
    target_link_libraries(${ARG_NAME}_test PRIVATE GTest::gtest GTest::gtest_main)
    shoal_run(NAME ${ARG_NAME} PROGRAM ${ARG_NAME}_test COST ${ARG_TEST_COST} TIMEOUT ${ARG_TEST_TIMEOUT})
  endif()
endfunction()

#!/usr/bin/env bash
# A CMake project is configured, built, run; a second build has nothing to do; a changed header rebuilds what needs it.
#
#   tests/programs/cmake.sh FOLDER
source "$(dirname "$0")/../lib/common.sh"
need_program cmake ninja g++
folder=${1:?usage: cmake.sh FOLDER}
inner=$(mktemp -d "$folder/cmake.XXXXXX")
export CCACHE_DISABLE=1
mkdir "$inner/src"
{
  echo 'cmake_minimum_required(VERSION 3.25)'
  echo 'project(sample CXX)'
  echo 'file(GLOB parts src/part*.cc)'
  echo 'add_library(parts STATIC ${parts})'
  echo 'add_executable(sample src/main.cc)'
  echo 'target_link_libraries(sample parts)'
  echo 'enable_testing()'
  echo 'add_test(NAME sample COMMAND sample)'
} >"$inner/CMakeLists.txt"
echo '#define STEP 1' >"$inner/src/step.h"
for n in $(seq 30); do
  printf '#include "step.h"\nint part%d(int x) { return x + STEP; }\n' "$n" >"$inner/src/part$n.cc"
done
{
  for n in $(seq 30); do echo "int part$n(int);"; done
  echo '#include <cstdio>'
  echo 'int main() { int x = 0;'
  for n in $(seq 30); do echo "x = part$n(x);"; done
  echo 'std::printf("%d\n", x); }'
} >"$inner/src/main.cc"
cmake -S "$inner" -B "$inner/build" -G Ninja >/dev/null
ninja -C "$inner/build"
[ "$("$inner/build/sample")" = 30 ] || fail "the program answers $("$inner/build/sample")"
ninja -C "$inner/build" | grep -q 'no work to do' || fail "a second build has work to do"
echo '#define STEP 2' >"$inner/src/step.h"
ninja -C "$inner/build" | tail -n 1 | grep -q '32/32' || fail "a changed header does not rebuild 32 steps"
[ "$("$inner/build/sample")" = 60 ] || fail "the rebuilt program answers $("$inner/build/sample")"
ctest --test-dir "$inner/build" --quiet
rm -rf "$inner"

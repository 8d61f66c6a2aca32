#!/usr/bin/env bash
# Every program test in FOLDER (on a mount, or on a local disk to see what is normal); counts them.
#
#   tests/programs/run-all.sh FOLDER [FILES-IN-THE-TREE]
source "$(dirname "$0")/../lib/common.sh"
here=$REPO/tests/programs
folder=${1:?usage: run-all.sh FOLDER [FILES-IN-THE-TREE]}
check "untar and compare ${2:-20000} files" "$here/untar.sh" "$folder" "${2:-20000}"
check "git" "$here/git.sh" "$folder"
check "rm -rf of the tree" rm -rf "$folder/tree"
check "sqlite" "$here/sqlite.sh" "$folder"
check "rsync -c" "$here/rsync.sh" "$folder"
check "cp --sparse" "$here/sparse.sh" "$folder"
check "cmake build" "$here/cmake.sh" "$folder"
check "two handles, one directory" "$here/two_handles.py" "$folder"
check "CPython's tests" "$here/cpython.sh" "$folder"
summary

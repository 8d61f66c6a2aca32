#!/usr/bin/env bash
# CPython's own tests of files (Debian's libpython3.11-testsuite) with their temporary folder on the mount.
#
#   tests/programs/cpython.sh FOLDER [TEST…]
#
# What fails in FOLDER is run again on this machine's own disk: only what passes there counts as a failure, so that
# what a container forbids to everybody is not blamed on the mount. Both lists are printed.
source "$(dirname "$0")/../lib/common.sh"
folder=${1:?usage: cpython.sh FOLDER [TEST…]}
shift
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(test_os test_shutil test_mmap test_fcntl test_tarfile test_zipfile test_posix)
/usr/bin/python3 -c 'import test.test_os' 2>/dev/null || fail "python's tests are missing: run tools/install-deps.sh --tests"
scratch
run_in() {  # run_in FOLDER REPORT TEST…: the exit status is that of the tests
  local at=$1 report=$2
  shift 2
  mkdir -p "$at"
  ( cd "$at"; TMPDIR=$at PYTHONDONTWRITEBYTECODE=1 timeout 900 /usr/bin/python3 -m test --tempdir "$at" --junit-xml "$report" "$@" )
}
failures_of() {  # failures_of REPORT: names of tests that failed or ended in an error
  /usr/bin/python3 - "$1" <<'PY'
import sys, xml.etree.ElementTree as tree
for case in tree.parse(sys.argv[1]).iter("testcase"):
    if case.find("failure") is not None or case.find("error") is not None:
        print(case.get("name"))
PY
}
inner=$(mktemp -d "$folder/cpython.XXXXXX")
status=0
run_in "$inner" "$SCRATCH/mount.xml" "${tests[@]}" >"$SCRATCH/mount.out" 2>&1 || status=$?
rm -rf "$inner"
tail -n 12 "$SCRATCH/mount.out"
[ $status != 0 ] || exit 0
[ -s "$SCRATCH/mount.xml" ] || fail "the tests did not come to their end (exit $status)"
failures_of "$SCRATCH/mount.xml" | sort -u >"$SCRATCH/mount.failed"
run_in "$SCRATCH/local" "$SCRATCH/local.xml" "${tests[@]}" >"$SCRATCH/local.out" 2>&1 || true
failures_of "$SCRATCH/local.xml" | sort -u >"$SCRATCH/local.failed"
echo "fails on this machine's own disk too:"
comm -12 "$SCRATCH/mount.failed" "$SCRATCH/local.failed" | sed 's/^/  /'
comm -23 "$SCRATCH/mount.failed" "$SCRATCH/local.failed" >"$SCRATCH/only"
[ ! -s "$SCRATCH/mount.failed" ] || [ -s "$SCRATCH/only" ] || exit 0
echo "fails on the mount only:"
sed 's/^/  /' "$SCRATCH/only"
grep -E -A 25 '^(ERROR|FAIL):' "$SCRATCH/mount.out" | head -n 200
fail "CPython's tests: $(wc -l <"$SCRATCH/only") failures that the local disk does not have"

#!/usr/bin/env bash
# The POSIX conformance suite pjdfstest (a crate, see tools/install-deps.sh) in a folder of a mounted file system.
#
#   tests/posix/run-pjdfstest.sh FOLDER [--remount] [--table FILE] [PATTERN…]
#
# --remount  also the EROFS tests, which remount the file system that holds FOLDER read-only and back
# --table    writes the result as a Markdown table, for docs/semantics.md
#
# Root only. Nothing is expected to fail. A test may be left out only for a reason that lies in Linux (LEFT_OUT in
# pjdfstest_table.py) or for the lack of --remount; any other omission is a failure.
source "$(dirname "$0")/../lib/common.sh"
need_root
need_program pjdfstest mount

folder=${1:?usage: run-pjdfstest.sh FOLDER [--remount] [--table FILE] [PATTERN…]}
shift
remount=false table=()
while [ $# -gt 0 ]; do
  case $1 in
    --remount) remount=true; shift ;;
    --table) table=(--table "$2"); shift 2 ;;
    *) break ;;
  esac
done

scratch
# EXDEV needs a second file system; its own tmpfs, so that it is one wherever the scratch folder lies.
mkdir "$SCRATCH/other"
mount -t tmpfs -o mode=755 shoal-pjdfstest "$SCRATCH/other"
# Naptime is above the granularity of ext4's timestamps (one tick, ≤ 10 ms). The users exist on every Debian.
cat >"$SCRATCH/config.toml" <<TOML
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.02
allow_remount = $remount
expected_failures = []
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
TOML
inner=$(mktemp -d "$folder/pjdfstest.XXXXXX")
chmod 755 "$inner"
status=0
( cd "$inner"; NO_COLOR=1 pjdfstest -c "$SCRATCH/config.toml" -p "$inner" -s "$SCRATCH/other" "$@" ) >"$SCRATCH/output" 2>&1 || status=$?
rm -rf "$inner" || status=1
/usr/bin/python3 "$(dirname "$0")/pjdfstest_table.py" "$SCRATCH/output" --exit-status $status \
  $([ $remount = true ] && echo --remount) "${table[@]}"

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
config() {  # config ALLOW-REMOUNT
  cat <<TOML
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.02
allow_remount = $1
expected_failures = []
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
TOML
}
config false >"$SCRATCH/config.toml"
config true >"$SCRATCH/config-remount.toml"
inner=$(mktemp -d "$(realpath "$folder")/p.XXXX")
# The suite binds Unix sockets 55 bytes below this folder, and their paths end at 108.
[ ${#inner} -le 52 ] || { rmdir "$inner"; fail "the path of $folder is too long for the suite's sockets: mount it nearer to /"; }
chmod 755 "$inner"
suite() {  # suite CONFIG PATTERN…
  local config=$1
  shift
  ( cd "$inner"; NO_COLOR=1 pjdfstest -c "$config" -p "$inner" -s "$SCRATCH/other" "$@" )
}
status=0
suite "$SCRATCH/config.toml" "$@" >"$SCRATCH/output" 2>&1 || status=$?
outputs=("$SCRATCH/output")
if [ $remount = true ]; then
  # In a process of their own: what other tests leave open for writing makes the remount fail with EBUSY.
  # The suite calls mount(8), which would hand the remount of a FUSE file system to a helper: -i does it itself.
  mkdir "$SCRATCH/bin"
  printf '#!/bin/sh\nexec %s -i "$@"\n' "$(command -v mount)" >"$SCRATCH/bin/mount"
  chmod +x "$SCRATCH/bin/mount"
  PATH=$SCRATCH/bin:$PATH suite "$SCRATCH/config-remount.toml" erofs >"$SCRATCH/output-remount" 2>&1 || status=$?
  outputs+=("$SCRATCH/output-remount")
fi
rm -rf "$inner" || status=1
/usr/bin/python3 "$(dirname "$0")/pjdfstest_table.py" "${outputs[@]}" --exit-status $status \
  $([ $remount = true ] && echo --remount) "${table[@]}"

# Helpers for end-to-end tests in shell. Source it:
#
#   source "$(dirname "$0")/../lib/common.sh"
#   scratch                              # $SCRATCH: a fresh folder; everything under it is unmounted and removed at exit
#   make_volume demo "file://$SCRATCH/bucket"     # formats $META (rocksdb:///...)
#   mount_volume "$META" "$SCRATCH/mnt"
#   ...
#   unmount_volume "$SCRATCH/mnt"; fsck_clean "$META"
#
# Every helper ends the test with a message when it fails. Nothing sleeps blindly: wait_until polls a condition
# with a limit. Environment: SHOAL (the program; default build/release/shoal), SHOAL_SCRATCH (where scratch folders
# are made; default $TMPDIR or /tmp), KEEP=1 keeps the scratch folder of a failed test.
set -euo pipefail

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SHOAL=${SHOAL:-$REPO/build/release/shoal}
TOOLS=$("$REPO/tools/install-deps.sh" --where)
PATH=$TOOLS/bin:$PATH
PASSED=0
FAILED=0

say() { echo "$*" >&2; }
fail() { say "FAILED: $*"; exit 1; }

# check NAME COMMAND…: counts one test; its output is shown only when it fails.
check() {
  local name=$1 log status=0
  shift
  log=$(mktemp "${SCRATCH:-/tmp}/check.XXXXXX")
  local from=$EPOCHREALTIME
  # A child shell: `set -e` is off inside a condition, and the command is to stop at its first failure.
  ( set -e; "$@" ) >"$log" 2>&1 & 
  wait $! || status=$?
  local seconds
  seconds=$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
  if [ $status = 0 ]; then
    PASSED=$((PASSED + 1))
    echo "ok     $name ($seconds s)"
  else
    FAILED=$((FAILED + 1))
    echo "FAILED $name ($seconds s, exit $status)"
    tail -n 60 "$log" | sed 's/^/    /'
  fi
  rm -f "$log"
}

# The last line of a test script: prints the counts, and the exit status says whether all passed.
summary() {
  echo "$PASSED passed, $FAILED failed"
  [ $FAILED = 0 ] && [ $PASSED -gt 0 ]
}

# wait_until SECONDS WHAT COMMAND…
wait_until() {
  local seconds=$1 what=$2
  shift 2
  local deadline=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "waited $seconds s for: $what"
    sleep 0.1
  done
}

# free_ports N: N loopback ports nobody listens on, one a line. Below the range that the kernel gives to clients.
free_ports() {
  /usr/bin/python3 - "$1" <<'PY'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.SystemRandom().randrange(10240, 32000)))
        held.append(s)
    except OSError:
        s.close()
print("\n".join(str(s.getsockname()[1]) for s in held))
PY
}

# ---- scratch --------------------------------------------------------------------------------------------------

SCRATCH=
STARTED=()  # pids of servers that this test started

mounts_under() {  # deepest first
  awk -v under="$1/" '{ gsub(/\\040/, " ", $5); if (index($5 "/", under) == 1) print $5 }' /proc/self/mountinfo | sort -r
}

clean_up() {
  local status=$? mount pid
  trap - EXIT
  [ -n "$SCRATCH" ] || exit $status
  cd /
  while read -r mount; do
    fusermount3 -u "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null || true
  done < <(mounts_under "$SCRATCH")
  for pid in "${STARTED[@]}"; do  # their data goes away too: no reason to be polite
    kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
  done
  if [ $status != 0 ]; then
    tail_logs
    [ -z "${KEEP:-}" ] || { say "kept: $SCRATCH"; exit $status; }
  fi
  # Never into something that is still mounted.
  [ -n "$(mounts_under "$SCRATCH")" ] || rm -rf --one-file-system "$SCRATCH"
  exit $status
}

tail_logs() {
  local log
  for log in "$SCRATCH"/*.log; do
    [ -s "$log" ] || continue
    say "---- last lines of $(basename "$log")"
    tail -n 20 "$log" >&2
  done
}

scratch() {
  SCRATCH=$(mktemp -d "${SHOAL_SCRATCH:-${TMPDIR:-/tmp}}/t.XXXXXX")  # short: sockets deep inside must stay under 108 bytes
  chmod 755 "$SCRATCH"  # tests become other users
  trap clean_up EXIT
  trap 'exit 143' TERM INT HUP
}

stop_process() {  # stop_process PID [SECONDS]: TERM, then KILL after that time; only pids that this test started
  kill -TERM "$1" 2>/dev/null || return 0
  local tries=$((${2:-10} * 10))
  while kill -0 "$1" 2>/dev/null && [ $tries -gt 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# ---- requirements: what is missing makes a test fail, never skip ------------------------------------------------

need_root() { [ "$(id -u)" = 0 ] || fail "this test must run as root"; }
need_fuse() {
  [ -c /dev/fuse ] || fail "/dev/fuse is not there: load the module (modprobe fuse), or give the container the device (--device /dev/fuse --cap-add SYS_ADMIN)"
  command -v fusermount3 >/dev/null || fail "fusermount3 is missing: run tools/install-deps.sh"
}
need_program() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is missing: run tools/install-deps.sh --tests"
  done
}
need_shoal() { [ -x "$SHOAL" ] || fail "$SHOAL is not built: run make build"; }

# ---- volumes --------------------------------------------------------------------------------------------------

META=

# make_volume NAME BUCKET-URL [format options…]: sets META. State and cache stay inside the scratch folder.
make_volume() {
  local name=$1 bucket=$2
  shift 2
  need_shoal
  META=rocksdb://$SCRATCH/meta-$name
  case $bucket in file://*) mkdir -p "${bucket#file://}" ;; esac
  "$SHOAL" format "$META" "$name" --bucket "$bucket" "$@" || fail "format $META"
}

# mount_volume META-URL MOUNTPOINT [mount options…]
mount_volume() {
  local meta=$1 at=$2 key
  shift 2
  need_fuse
  need_shoal
  mkdir -p "$at"
  key=$(basename "$meta")
  "$SHOAL" mount "$meta" "$at" --background \
    --state-dir "$SCRATCH/state-$key" --cache-dir "$SCRATCH/cache-$key" \
    --log "$SCRATCH/mount-$key.log" "$@" || fail "mount $meta at $at"
  mountpoint -q "$at" || fail "$at is not a mount point after shoal mount --background returned"
}

unmount_volume() { "$SHOAL" umount "$1" || fail "umount $1"; }

fsck_clean() { "$SHOAL" fsck "$1" || fail "fsck of $1 found errors"; }

# daemon_of MOUNTPOINT: the pid that serves it (by its command line, which names the mount point).
daemon_of() {
  local dir
  for dir in /proc/[0-9]*; do
    [ "$(readlink "$dir/exe" 2>/dev/null)" = "$(readlink -f "$SHOAL")" ] || continue
    tr '\0' '\n' <"$dir/cmdline" 2>/dev/null | grep -qxF -e "$1" && { basename "$dir"; return 0; }
  done
  fail "no shoal process serves $1"
}

drop_caches() {
  need_root
  sync
  echo 3 >/proc/sys/vm/drop_caches
}

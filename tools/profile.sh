#!/usr/bin/env bash
# Where a running shoal spends its time.
#
#   tools/profile.sh MOUNTPOINT|PID [SECONDS]           perf: hottest call chains, and what the process waits for
#   tools/profile.sh --stacks MOUNTPOINT|PID [SAMPLES]  gdb: stacks of all threads sampled and counted; no perf needed,
#                                                       and it shows blocked threads too
source "$(dirname "$0")/../tests/lib/common.sh"
mode=perf
[ "${1:-}" != --stacks ] || { mode=stacks; shift; }
target=${1:?usage: profile.sh [--stacks] MOUNTPOINT|PID [SECONDS|SAMPLES]}
case $target in *[!0-9]*) pid=$(daemon_of "$(realpath "$target")") ;; *) pid=$target ;; esac
scratch
if [ $mode = perf ]; then
  command -v perf >/dev/null || fail "perf is missing: run tools/install-deps.sh --bench, or use --stacks"
  perf record -q -F 499 -g --call-graph fp -p "$pid" -o "$SCRATCH/perf.data" -- sleep "${2:-10}" || fail "perf record (is kernel.perf_event_paranoid too strict? try --stacks)"
  perf report -i "$SCRATCH/perf.data" --stdio --no-children --percent-limit 0.5 2>/dev/null
  exit
fi
command -v gdb >/dev/null || fail "gdb is missing: run tools/install-deps.sh --tests"
for _ in $(seq "${2:-20}"); do
  gdb -p "$pid" -batch -nx -ex 'set pagination off' -ex 'thread apply all backtrace 12' 2>/dev/null >>"$SCRATCH/stacks"
done
# One line per stack: innermost frames first.
awk '/^Thread /{ if (s) print s; s = "" } /^#/{ name = $0; sub(/^#[0-9]+ +(0x[0-9a-f]+ in )?/, "", name); sub(/ \(.*/, "", name); s = s (s ? " < " : "") name } END { if (s) print s }' "$SCRATCH/stacks" |
  sort | uniq -c | sort -rn | head -n 40

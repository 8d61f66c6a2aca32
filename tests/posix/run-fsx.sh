#!/usr/bin/env bash
# The file system exerciser fsx (a crate, see tools/install-deps.sh): random reads, writes, truncates, holes, copies
# on one file, every read compared with what must be there.
#
#   tests/posix/run-fsx.sh FOLDER OPERATIONS [--no-mmap] [--seed N]
#
# The seed is drawn and printed unless given; the same seed gives the same operations.
source "$(dirname "$0")/../lib/common.sh"
need_program fsx

usage="usage: run-fsx.sh FOLDER OPERATIONS [--no-mmap] [--seed N]"
folder=${1:?$usage}
operations=${2:?$usage}
shift 2
mapped=10 seed=$((RANDOM * 32768 + RANDOM))
while [ $# -gt 0 ]; do
  case $1 in
    --no-mmap) mapped=0; shift ;;
    --seed) seed=$2; shift 2 ;;
    *) fail "$usage" ;;
  esac
done

scratch
cat >"$SCRATCH/fsx.toml" <<TOML
flen = 1048576
[opsize]
max = 131072
[weights]
close_open = 2
invalidate = $([ $mapped = 0 ] && echo 0 || echo 1)
mapread = $mapped
mapwrite = $mapped
read = 10
write = 10
truncate = 5
fsync = 0.5
fdatasync = 0.5
posix_fallocate = 1
punch_hole = 3
sendfile = 2
posix_fadvise = 1
copy_file_range = 3
TOML
inner=$(mktemp -d "$folder/fsx.XXXXXX")
name="fsx $operations operations, mmap $([ $mapped = 0 ] && echo off || echo on), seed $seed"
exerciser() { fsx -q -f "$SCRATCH/fsx.toml" -N "$operations" -S "$seed" -P "$SCRATCH" "$inner/file"; }
check "$name" exerciser
rm -rf "$inner"
summary

#!/usr/bin/env bash
# Holes: cp --sparse=always makes them, they cost no blocks, SEEK_HOLE finds them, copies are the same bytes.
#
#   tests/programs/sparse.sh FOLDER
source "$(dirname "$0")/../lib/common.sh"
folder=${1:?usage: sparse.sh FOLDER}
scratch
inner=$(mktemp -d "$folder/sparse.XXXXXX")
/usr/bin/python3 - "$SCRATCH/full" <<'PY'
import random, sys
rng = random.Random(3)
with open(sys.argv[1], "wb") as f:
    for _ in range(16):
        f.write(rng.randbytes(1 << 20))
        f.write(bytes(3 << 20))
PY
cp --sparse=never "$SCRATCH/full" "$inner/full"
cp --sparse=always "$inner/full" "$inner/holes"
cp --sparse=auto "$inner/holes" "$inner/again"
cmp "$SCRATCH/full" "$inner/full"
cmp "$SCRATCH/full" "$inner/holes"
cmp "$SCRATCH/full" "$inner/again"
sync
/usr/bin/python3 - "$inner/holes" "$inner/again" <<'PY'
import os, sys
for path in sys.argv[1:]:
    info = os.stat(path)
    assert info.st_size == 64 << 20, f"{path}: size {info.st_size}"
    assert info.st_blocks * 512 <= 17 << 20, f"{path}: {info.st_blocks} blocks for 16 MiB of data"
    fd = os.open(path, os.O_RDONLY)
    at, data, holes = 0, 0, 0
    while at < info.st_size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # ENXIO: a hole up to the end
            start = info.st_size
        holes += start - at
        at = start
        if at < info.st_size:
            end = os.lseek(fd, at, os.SEEK_HOLE)
            data += end - at
            at = end
    assert data <= 17 << 20 and holes >= 47 << 20, f"{path}: data {data}, holes {holes}"
PY
truncate -s 1T "$inner/huge"
echo end >>"$inner/huge"
[ "$(stat -c %s "$inner/huge")" = $(((1 << 40) + 4)) ] || fail "size of a huge sparse file"
[ "$(tail -c 4 "$inner/huge")" = end ] || fail "end of a huge sparse file"
[ "$(stat -c %b "$inner/huge")" -le 1024 ] || fail "a hole of 1 TiB costs blocks"
rm -rf "$inner"

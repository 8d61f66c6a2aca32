#!/usr/bin/env bash
# ENOSPC in the middle of an untar: tar is told, nothing that it wrote completely is wrong, and after a removal there
# is room again. FOLDER is on a file system with less than 100 MiB free.
#
#   tests/programs/enospc.sh FOLDER
source "$(dirname "$0")/../lib/common.sh"
here=$REPO/tests/programs
folder=${1:?usage: enospc.sh FOLDER}
scratch
free=$(df --output=avail -B 1M "$folder" | tail -n 1)
[ "$free" -lt 100 ] || fail "$folder has $free MiB free: give it less than 100"
"$here/make_tree.py" "$SCRATCH/tree" 2000 4
for n in $(seq 10); do /usr/bin/python3 -c "import random,sys; sys.stdout.buffer.write(random.Random($n).randbytes(10 << 20))" >"$SCRATCH/tree/m-big$n"; done
tar -C "$SCRATCH" --sort=name -cf "$SCRATCH/tree.tar" tree
status=0
tar -C "$folder" -xpf "$SCRATCH/tree.tar" >"$SCRATCH/tar.out" 2>&1 || status=$?
[ $status != 0 ] || fail "tar put 110 MiB where $free MiB were free"
grep -q 'No space left on device' "$SCRATCH/tar.out" || { tail -n 5 "$SCRATCH/tar.out"; fail "tar was told something else"; }
sync
/usr/bin/python3 - "$SCRATCH/tree" "$folder/tree" <<'PY'
import os, sys
want_top, got_top = sys.argv[1:]
whole = partial = 0
for folder, _, files in os.walk(got_top):
    for name in files:
        got = os.path.join(folder, name)
        if os.path.islink(got):
            continue
        want = open(os.path.join(want_top, os.path.relpath(got, got_top)), "rb").read()
        data = open(got, "rb").read()
        if data == want:
            whole += 1
        else:  # cut short by ENOSPC: what is there is the beginning
            assert want.startswith(data), f"{got} holds bytes that were never written there"
            partial += 1
assert whole > 0, "nothing was written at all"
print(f"{whole} files whole, {partial} cut short")
PY
rm -rf "$folder/tree"
# Freed space may come back a moment later than the removal.
has_room() { head -c 20M /dev/zero >"$folder/again"; }
wait_until 60 "room after the removal" has_room
rm "$folder/again"

#!/usr/bin/env bash
# A source tree (20,000 files unless told) is packed, untarred on the mount and compared: bytes, modes, owners, links,
# times; again after the kernel's caches are dropped. Leaves FOLDER/tree for the tests that come next.
#
#   tests/programs/untar.sh FOLDER [FILES]
source "$(dirname "$0")/../lib/common.sh"
here=$REPO/tests/programs
folder=${1:?usage: untar.sh FOLDER [FILES]}
count=${2:-20000}
scratch
"$here/make_tree.py" "$SCRATCH/tree" "$count" 1
tar -C "$SCRATCH" --format=posix --sort=name -cf "$SCRATCH/tree.tar" tree
"$here/manifest.py" "$SCRATCH/tree" >"$SCRATCH/want"
tar -C "$folder" -xpf "$SCRATCH/tree.tar"
same() {
  "$here/manifest.py" "$folder/tree" >"$SCRATCH/got"
  diff "$SCRATCH/want" "$SCRATCH/got" >"$SCRATCH/diff" || { head -n 20 "$SCRATCH/diff"; fail "the tree differs$1"; }
}
same ""
[ "$(id -u)" != 0 ] || { drop_caches; same " after the caches were dropped"; }
echo "$(wc -l <"$SCRATCH/want") names compared"

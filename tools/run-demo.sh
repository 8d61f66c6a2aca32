#!/usr/bin/env bash
# `make run`: an embedded volume (RocksDB and a folder as the bucket) in a scratch place, mounted, with a small tree in
# it. Safe to repeat: a volume that is already there is used again, a mount that is already there is left alone.
#
#   tools/run-demo.sh            SHOAL_DEMO names the scratch place (default: $TMPDIR/shoal-demo-<uid>)
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
shoal=$repo/build/release/shoal
demo=${SHOAL_DEMO:-${TMPDIR:-/tmp}/shoal-demo-$(id -u)}
meta=rocksdb://$demo/meta
mnt=$demo/mnt

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
stop() { echo "make run: $*" >&2; exit 1; }
show() { echo "\$ $*"; "$@"; }

[ -x "$shoal" ] || stop "$shoal is not built: run make build"
[ -c /dev/fuse ] || stop "/dev/fuse is not there, so nothing can be mounted. On a machine: modprobe fuse. In a container: start it with --device /dev/fuse --cap-add SYS_ADMIN."
command -v fusermount3 >/dev/null || stop "fusermount3 is missing: run tools/install-deps.sh"

mkdir -p "$demo/bucket" "$mnt" 2>/dev/null || true  # a dead mount answers ENOTCONN; shoal mount replaces it
if [ ! -e "$demo/meta" ]; then
  say "Make a volume: metadata in $demo/meta, data in $demo/bucket"
  show "$shoal" format "$meta" demo --bucket "file://$demo/bucket"
fi
if mountpoint -q "$mnt" 2>/dev/null && stat "$mnt" >/dev/null 2>&1; then
  say "It is mounted at $mnt already"
else
  say "Mount it"
  show "$shoal" mount "$meta" "$mnt" --background --state-dir "$demo/state" --cache-dir "$demo/cache" \
    --log "$demo/shoal.log"
fi

say "Put a small tree into it, and read it back"
rm -rf "$mnt/source"  # of an earlier run
tar -C "$repo" --exclude=./build --exclude=./.git -cf - . | tar -C "$mnt" -xf - --one-top-level=source
diff -r --exclude=build --exclude=.git "$repo" "$mnt/source" && echo "$(find "$mnt/source" -type f | wc -l) files are the same as in $repo"
show "$shoal" info "$mnt/source/README.md"
show "$shoal" status "$meta"
show df -h "$mnt"

say "It is yours: $mnt"
cat <<TEXT
Try      cd $mnt && git clone $repo copy && ls -l copy
         $shoal stats $mnt
         ls -R $demo/bucket | head          the segments: many files share one object
         kill -9 the shoal process, then make run again: nothing that was closed is lost
Unmount  $shoal umount $mnt
Check    $shoal fsck $meta                  (mounted or not)
Remove   $shoal umount $mnt && rm -rf $demo
TEXT

#!/usr/bin/env bash
# A scratch volume mounted in one go, and gone when you leave the shell it starts (or when the command ends).
#
#   tools/dev-mount.sh                     a shell in a fresh mount of build/dev/shoal
#   tools/dev-mount.sh -- make -C x        a command instead of the shell
#   tools/dev-mount.sh --s3                bucket on a real S3 server (SeaweedFS) instead of a folder
#   SHOAL=build/release/shoal tools/dev-mount.sh
#   FORMAT_OPTIONS="--capacity 1G" MOUNT_OPTIONS="-o debug" tools/dev-mount.sh
repo=$(cd "$(dirname "$0")/.." && pwd)
SHOAL=${SHOAL:-$repo/build/dev/shoal}
source "$repo/tests/lib/common.sh"
source "$repo/tests/lib/s3.sh"
s3=no
[ "${1:-}" != --s3 ] || { s3=yes; shift; }
[ "${1:-}" != -- ] || shift
scratch
if [ $s3 = yes ]; then
  start_s3
  make_bucket dev
  bucket=$(s3_url dev/volume)
else
  bucket=file://$SCRATCH/bucket
fi
# Options are words on purpose.
# shellcheck disable=SC2086
make_volume dev "$bucket" ${FORMAT_OPTIONS:-}
# shellcheck disable=SC2086
mount_volume "$META" "$SCRATCH/mnt" ${MOUNT_OPTIONS:-}
say "mounted at $SCRATCH/mnt ($META); leave the shell to unmount and remove it"
export META MNT=$SCRATCH/mnt SHOAL
status=0
if [ $# -gt 0 ]; then ( cd "$MNT" && "$@" ) || status=$?; else ( cd "$MNT" && PS1='shoal-dev$ ' bash --norc -i ) || true; fi
unmount_volume "$MNT"
fsck_clean "$META"
exit $status

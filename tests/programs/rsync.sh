#!/usr/bin/env bash
# rsync to the mount and back, then rsync -c finds nothing to do; changes and deletions are carried over.
#
#   tests/programs/rsync.sh FOLDER
source "$(dirname "$0")/../lib/common.sh"
need_program rsync
folder=${1:?usage: rsync.sh FOLDER}
scratch
"$REPO/tests/programs/make_tree.py" "$SCRATCH/from" 2000 2
inner=$(mktemp -d "$folder/rsync.XXXXXX")
nothing_to_do() {
  local rest
  rest=$(rsync -aHc --delete -n -i "$1" "$2")
  [ -z "$rest" ] || { echo "$rest" | head -n 20; fail "rsync -c still finds differences from $1 to $2"; }
}
rsync -aH "$SCRATCH/from/" "$inner/to/"
nothing_to_do "$SCRATCH/from/" "$inner/to/"
find "$SCRATCH/from" -name '*.c' -type f | sort | sed -n 1,100p | while read -r f; do chmod u+w "$f"; echo changed >>"$f"; done
find "$SCRATCH/from" -name '*.py' -type f | sort | sed -n 1,100p | xargs -d '\n' rm
rsync -aHc --delete "$SCRATCH/from/" "$inner/to/"
rsync -aHc --delete --inplace --no-whole-file "$SCRATCH/from/" "$inner/to/"
nothing_to_do "$SCRATCH/from/" "$inner/to/"
rsync -aH "$inner/to/" "$SCRATCH/back/"
nothing_to_do "$SCRATCH/from/" "$SCRATCH/back/"
rm -rf "$inner"

#!/usr/bin/env bash
# clang-tidy by .clang-tidy on all sources, or on those named or (--changed) on those that differ from a commit.
#
#   tools/clang-tidy.sh [FILE.cc…]
#   tools/clang-tidy.sh --changed [COMMIT]      default: main
#
# Needs a configured build/tidy (cmake --preset tidy). A file whose preprocessed inputs did not change since it was
# found clean is not looked at again (stamps in build/tidy/clean).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-tidy-14 >/dev/null || { echo "clang-tidy-14 is missing: run tools/install-deps.sh --tests" >&2; exit 1; }
[ -e build/tidy/compile_commands.json ] || cmake --preset tidy >/dev/null
ninja -C build/tidy protos >/dev/null
if [ "${1:-}" = --changed ]; then
  mapfile -t files < <(git diff --name-only --diff-filter=d "${2:-main}" -- 'src/*.cc')
elif [ $# -gt 0 ]; then files=("$@")
else mapfile -t files < <(git ls-files -- 'src/*.cc')
fi
# Only what that build compiles: tests are off there.
mapfile -t built < <(/usr/bin/python3 -c '
import json, os, sys
built = {os.path.relpath(c["file"]) for c in json.load(open("build/tidy/compile_commands.json"))}
print("\n".join(f for f in sys.argv[1:] if f in built))' "${files[@]}")
[ -n "${built[*]:-}" ] || { echo "0 passed, 0 failed"; exit 0; }
mkdir -p build/tidy/clean
one() {
  local inputs stamp
  inputs=$(clang++-14 -std=c++20 -MM -iquote src -iquote build/tidy/gen -msse4.2 "$1" 2>/dev/null | tr -d '\\\n' | cut -d: -f2-)
  # shellcheck disable=SC2086
  stamp=build/tidy/clean/$(cat .clang-tidy $inputs | sha256sum | cut -c1-32)
  [ ! -e "$stamp" ] || return 0
  clang-tidy-14 --quiet -p build/tidy "$1" 2>/dev/null && touch "$stamp" || { echo "not clean: $1"; return 1; }
}
export -f one
failed=0
printf '%s\0' "${built[@]}" | xargs -0 -n 1 -P 2 bash -c 'one "$0"' | tee build/tidy/clang-tidy.log || failed=1
bad=$(grep -c '^not clean: ' build/tidy/clang-tidy.log || true)
echo "$((${#built[@]} - bad)) passed, $bad failed"
[ "$bad" = 0 ] && [ $failed = 0 ]

#!/usr/bin/env bash
# Formats our C++ by .clang-format; with --check only says what differs and exits 1.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-format-14 >/dev/null || { echo "clang-format-14 is missing: run tools/install-deps.sh --tests" >&2; exit 1; }
mapfile -t files < <(git ls-files -co --exclude-standard -- '*.cc' '*.h')
[ ${#files[@]} -gt 0 ] || exit 0
case ${1:-} in
  --check) printf '%s\0' "${files[@]}" | xargs -0 -n 20 -P 2 clang-format-14 --dry-run --Werror --ferror-limit=3 ;;
  "") printf '%s\0' "${files[@]}" | xargs -0 -n 20 -P 2 clang-format-14 -i ;;
  *) echo "usage: tools/format.sh [--check]" >&2; exit 2 ;;
esac

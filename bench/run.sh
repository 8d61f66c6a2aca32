#!/usr/bin/env bash
# Builds what `make bench` needs and measures; options are those of bench/run.py (see its --help).
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release --log-level=WARNING >/dev/null
ninja -C build/release shoal bench_workload
exec python3 bench/run.py "$@"

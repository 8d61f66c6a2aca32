#!/usr/bin/env bash
# Runs postgres_bench against a PostgreSQL server of its own, on the file system of FOLDER, with a Unix socket.
#
#   src/engine/bench/run-postgres.sh [FOLDER] [CREATES]
#
# Needs build/release/src/engine/bench/postgres_bench (ninja -C build/release postgres_bench).
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=$(mktemp -d "${1:-/var/tmp}/pgbench.XXXXXX")
chmod 755 "$folder"
bin=$(find /usr/lib/postgresql -name initdb -printf '%h\n' | sort -V | tail -n 1)
as=()
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  install -d -o postgres "$folder/pg"
else
  mkdir "$folder/pg"
fi
finish() {
  (cd / && "${as[@]}" "$bin/pg_ctl" -D "$folder/pg/data" -m immediate stop >/dev/null) || true
  rm -rf "$folder"
}
trap finish EXIT
pg() { (cd / && "${as[@]}" "$bin/$@" >>"$folder/log"); }
touch "$folder/log"
pg initdb -D "$folder/pg/data" -U shoal --auth=trust -E UTF8 --locale=C --no-sync
pg pg_ctl -D "$folder/pg/data" -w -l "$folder/pg/server.log" \
  -o "-c listen_addresses= -c unix_socket_directories=$folder/pg -c shared_buffers=1GB -c max_wal_size=4GB" start
pg createdb -h "$folder/pg" -U shoal shoal
build/release/src/engine/bench/postgres_bench "postgres://shoal@/shoal?host=$folder/pg" "$folder" "${2:-4000}"

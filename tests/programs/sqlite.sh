#!/usr/bin/env bash
# sqlite in its rollback and write-ahead modes: two writers and a reader at once, then integrity_check and the sums.
#
#   tests/programs/sqlite.sh FOLDER
source "$(dirname "$0")/../lib/common.sh"
need_program sqlite3
folder=${1:?usage: sqlite.sh FOLDER}
inner=$(mktemp -d "$folder/sqlite.XXXXXX")
writer() {  # writer DATABASE NUMBER: 200 transactions of 10 rows
  local n
  for n in $(seq 200); do
    echo "BEGIN IMMEDIATE;"
    echo "INSERT INTO t SELECT $2, $n, hex(randomblob(200)) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<10) SELECT x FROM c);"
    echo "UPDATE sums SET n = n + 10;"
    echo "COMMIT;"
  done | sqlite3 -bail -cmd ".timeout 60000" "$1"
}
for mode in delete wal; do
  db=$inner/$mode.db
  sqlite3 "$db" "PRAGMA journal_mode=$mode; CREATE TABLE t(writer, n, body); CREATE INDEX i ON t(body); CREATE TABLE sums(n); INSERT INTO sums VALUES(0);" >/dev/null
  writer "$db" 1 & first=$!
  writer "$db" 2 & second=$!
  for _ in $(seq 50); do
    sqlite3 -cmd ".timeout 60000" "$db" "SELECT CASE WHEN (SELECT count(*) FROM t) = (SELECT n FROM sums) THEN 'same' ELSE 'torn' END" | grep -qx same \
      || fail "$mode: a reader saw half a transaction"
  done
  wait $first || fail "$mode: writer 1"
  wait $second || fail "$mode: writer 2"
  [ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ] || fail "$mode: integrity_check"
  [ "$(sqlite3 "$db" 'SELECT count(*), (SELECT n FROM sums) FROM t')" = "4000|4000" ] || fail "$mode: rows are missing"
  sqlite3 "$db" "DELETE FROM t WHERE n % 2; VACUUM;"
  [ "$(sqlite3 "$db" 'PRAGMA integrity_check; SELECT count(*) FROM t' | tr '\n' ' ')" = "ok 2000 " ] || fail "$mode: after VACUUM"
done
rm -rf "$inner"

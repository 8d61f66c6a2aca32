# A real S3 server (SeaweedFS) on loopback for a test. Source after common.sh, after scratch:
#
#   start_s3                             # exports AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; sets S3_ENDPOINT
#   make_bucket data
#   make_volume demo "$(s3_url data/prefix)"
#   stop_s3; start_s3                    # an outage: same ports, same data
#
# Its data lives in $SCRATCH/s3; it ends with the test.

S3_ENDPOINT=
S3_PID=
S3_PORTS=()

s3_config() {
  cat <<JSON
{"identities": [{"name": "test", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}]}]}
JSON
}

start_s3() {
  need_program weed curl
  export AWS_ACCESS_KEY_ID=shoaltest AWS_SECRET_ACCESS_KEY=shoaltestsecret AWS_REGION=us-east-1
  mkdir -p "$SCRATCH/s3"
  s3_config >"$SCRATCH/s3.json"
  [ ${#S3_PORTS[@]} -gt 0 ] || mapfile -t S3_PORTS < <(free_ports 8)
  local p=("${S3_PORTS[@]}")
  weed -logtostderr server -dir="$SCRATCH/s3" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -master.port="${p[0]}" -master.port.grpc="${p[1]}" -master.telemetry=false -master.electionTimeout=1s -master.volumeSizeLimitMB=1024 \
    -volume.port="${p[2]}" -volume.port.grpc="${p[3]}" -volume.max=200 -volume.preStopSeconds=1 \
    -filer -filer.port="${p[4]}" -filer.port.grpc="${p[5]}" -filer.localSocket="$SCRATCH/weed-filer.sock" \
    -s3 -s3.port="${p[6]}" -s3.port.grpc="${p[7]}" -s3.port.iceberg=0 -s3.port.lance=0 \
    -s3.localSocket="$SCRATCH/weed-s3.sock" -s3.config="$SCRATCH/s3.json" \
    >>"$SCRATCH/weed.log" 2>&1 &
  S3_PID=$!
  STARTED+=("$S3_PID")
  S3_ENDPOINT=http://127.0.0.1:${p[6]}
  S3_FILER=http://127.0.0.1:${p[4]}
  wait_until 90 "SeaweedFS at $S3_ENDPOINT" s3_is_ready
}

# Ready is: it takes a byte and gives it back (the S3 port opens long before there is a volume to write to).
s3_is_ready() {
  kill -0 "$S3_PID" 2>/dev/null || fail "SeaweedFS ended; see weed.log"
  curl -fsS -m 5 -o /dev/null "$S3_ENDPOINT/healthz" &&
    curl -fsS -m 5 -o /dev/null -F file=@"$SCRATCH/s3.json" "$S3_FILER/ready/probe" &&
    curl -fsS -m 5 "$S3_FILER/ready/probe" | cmp -s - "$SCRATCH/s3.json"
}

stop_s3() {
  stop_process "$S3_PID" 3
  S3_PID=
}

make_bucket() {
  curl -fsS -m 30 -o /dev/null -X POST "$S3_FILER/buckets/$1/" || fail "cannot make bucket $1"
}

# s3_url BUCKET[/PREFIX]
s3_url() { echo "s3://$1?endpoint=$S3_ENDPOINT&region=us-east-1"; }

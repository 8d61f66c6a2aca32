#!/usr/bin/env bash
# git init, add, commit, fsck, gc, clone and branch switches in FOLDER/tree (made by untar.sh, else here, smaller).
#
#   tests/programs/git.sh FOLDER
source "$(dirname "$0")/../lib/common.sh"
need_program git
folder=${1:?usage: git.sh FOLDER}
scratch
export HOME=$SCRATCH GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
git config --global user.name tester
git config --global user.email tester@example.com
git config --global init.defaultBranch main
git config --global safe.directory '*'
git config --global gc.auto 0
[ -d "$folder/tree" ] || "$REPO/tests/programs/make_tree.py" "$folder/tree" 2000 1
rm -rf "$folder/tree/.git" "$folder/clone"
cd "$folder/tree"
git init -q
git add -A
git commit -q -m first
git fsck --full --strict
[ -z "$(git status --porcelain)" ] || fail "the tree is dirty after commit"
git checkout -q -b other
find . -name '*.md' -not -path './.git/*' -type f | sort | sed -n 1,200p | while read -r f; do chmod u+w "$f"; echo more >>"$f"; done
git commit -q -a -m second
git checkout -q main
[ -z "$(git status --porcelain)" ] || fail "the tree is dirty after checkout"
git gc -q
git fsck --full --strict
git clone -q --no-hardlinks . "$folder/clone"
git -C "$folder/clone" fsck --full
[ "$(git -C "$folder/clone" rev-parse main^{tree})" = "$(git rev-parse main^{tree})" ] || fail "the clone differs"
[ -z "$(git -C "$folder/clone" status --porcelain)" ] || fail "the clone is dirty"
rm -rf "$folder/clone" .git

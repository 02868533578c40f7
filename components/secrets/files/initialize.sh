#!/bin/sh
# Decides whether this server initialises a new store, and writes what it is started with.
# Only the first one does, only with an empty disk, and only when every other one has answered that it holds nothing: one
# that has lost its disk must not begin a second, empty store beside the others. Who cannot be asked is waited for.
set -eu

here=${INITIALIZE_FIRST:-/openbao/first}
data=${INITIALIZE_DATA:-/openbao/data}
written=${INITIALIZE_WRITTEN:-/openbao/initialize}/initialize.json

finish() {
  echo "$1" >&2
  exit 0
}

echo '{}' >"$written"
# shellcheck disable=SC3028  # the container runtime sets it
[ "${HOSTNAME##*-}" = 0 ] || finish "not the first: joins the others"
[ ! -e "$data/raft/raft.db" ] || finish "holds a store already"
while read -r peer; do
  until answer=$(bao status -address="$peer" -format=json) || [ $? = 2 ]; do
    echo "waits for $peer to say whether it holds a store" >&2
    sleep 2
  done
  case $answer in
    *'"initialized": true'*) finish "$peer holds a store: joins it" ;;
    *'"initialized": false'*) ;;
    *) echo "$peer says nothing of a store: $answer" >&2; exit 1 ;;
  esac
done <"$here/peers"
cp "$here/initialize.json" "$written"
finish "nobody holds a store: initialises one"

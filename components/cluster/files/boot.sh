#!/bin/sh
# Brings this machine into the cluster: once, and again from the start when a step fails (platform-boot.service restarts it).
# Everything that it needs to know stands in /etc/platform/boot.env; secrets stand in k3s's own configuration files.
set -eu

# PLATFORM_ROOT, and the commands on PATH, are all that this script touches: so it can run against a scratch root.
ROOT="${PLATFORM_ROOT:-}"
# shellcheck source=/dev/null
. "$ROOT/etc/platform/boot.env"

K3S_CONFIG="$ROOT/etc/rancher/k3s/config.yaml.d"
METADATA="${PLATFORM_METADATA:-http://169.254.169.254/hetzner/v1/metadata}"
# A look a second.
ATTEMPTS="${PLATFORM_ATTEMPTS:-300}"

log() { echo "platform-boot: $*"; }

fail() {
  log "$*"
  exit 1
}

# The private interface is found by its address, never by its name: names differ by machine type and boot order.
private_address() {
  ip -o -4 address show | awk -v wanted="$PRIVATE_ADDRESS" -v prefix="$PRIVATE_PREFIX" '
    { split($4, a, "/"); if ((wanted != "" && a[1] == wanted) || (wanted == "" && index(a[1], prefix) == 1)) { print a[1]; exit } }'
}

wait_for_private_address() {
  attempt=0
  while [ "$attempt" -lt "$ATTEMPTS" ]; do
    address=$(private_address)
    if [ -n "$address" ]; then return 0; fi
    attempt=$((attempt + 1))
    sleep 1
  done
  fail "no interface has ${PRIVATE_ADDRESS:-an address in $PRIVATE_PREFIX}: is the machine attached to the Network?"
}

# Whether the API at this address serves our cluster: answered with a certificate of our own CA, and ready.
serves() {
  curl --silent --fail --connect-timeout 1 --max-time 5 --cacert "$ROOT/etc/platform/root-ca.crt" --output /dev/null "https://$1:6443/readyz"
}

# Whether anyone of our cluster is there at all, ready or not.
answers() {
  curl --silent --connect-timeout 1 --max-time 5 --cacert "$ROOT/etc/platform/root-ca.crt" --output /dev/null "https://$1:6443/readyz"
}

wait_until_served() {
  attempt=0
  while [ "$attempt" -lt "$ATTEMPTS" ]; do
    if serves "$1"; then return 0; fi
    attempt=$((attempt + 1))
    sleep 1
  done
  return 1
}

# Sets `member` to the first that serves. A server is asked itself: the load balancer calls it healthy only later.
wait_for_member() {
  attempt=0
  while [ "$attempt" -lt "$ATTEMPTS" ]; do
    for member in $PEERS $API_ADDRESS; do
      if serves "$member"; then return 0; fi
    done
    attempt=$((attempt + 1))
    sleep 1
  done
  return 1
}

describe_machine() {
  mkdir -p "$K3S_CONFIG"
  {
    echo "node-ip: $address"
    if [ "$ROLE" = server ]; then echo "advertise-address: $address"; fi
    if [ "$NODE_NAME" = from-metadata ]; then
      echo "node-name: $(curl --silent --fail --max-time 10 "$METADATA/hostname")"
    else
      echo "node-name: $NODE_NAME"
    fi
    if [ "$PROVIDER" = hcloud ]; then
      # The cloud controller finds the machine by this, and removes the old Node when its machine is gone.
      echo "kubelet-arg+: [\"provider-id=hcloud://$(curl --silent --fail --max-time 10 "$METADATA/instance-id")\"]"
    fi
  } > "$K3S_CONFIG/10-machine.yaml"
}

install_k3s() {
  case "$(uname -m)" in
    x86_64) file=k3s sum=$K3S_SHA256_AMD64 ;;
    aarch64) file=k3s-arm64 sum=$K3S_SHA256_ARM64 ;;
    *) fail "no k3s for the architecture $(uname -m)" ;;
  esac
  binary="$ROOT/usr/local/bin/k3s"
  if echo "$sum  $binary" | sha256sum --check --status 2> /dev/null; then return 0; fi
  curl --silent --show-error --fail --location --retry 5 --retry-delay 5 --output "$binary.download" "$K3S_URL/$file"
  echo "$sum  $binary.download" | sha256sum --check --status || fail "the k3s that was downloaded from $K3S_URL/$file has another checksum"
  chmod 0755 "$binary.download"
  mv "$binary.download" "$binary"
}

join() {
  log "joining the cluster at $1"
  echo "server: https://$1:6443" > "$K3S_CONFIG/20-join.yaml"
}

# A server joins whenever anyone knows the cluster already. Only the initialising one may start a cluster, only while
# the cluster is not known to have existed, and only when nobody answers for it: a peer that is not ready still counts.
decide_server() {
  # Until it has succeeded: what a failed attempt left behind is no membership, and old peers are about to go.
  if [ -n "$RESTORE_FROM" ] && [ -e "$ROOT/etc/platform/restore.yaml" ]; then
    restore
    return 0
  fi
  if [ -d "$ROOT/var/lib/rancher/k3s/server/db/etcd" ]; then
    log "this server is a member already"
    return 0
  fi
  for peer in $API_ADDRESS $PEERS; do
    if answers "$peer"; then
      join_member "$peer answers, but no server serves the cluster: look at the other servers"
      return 0
    fi
  done
  if [ "$INITIALIZE" = yes ]; then
    log "nobody serves the cluster yet: initialising it"
    echo "cluster-init: true" > "$K3S_CONFIG/20-join.yaml"
  else
    join_member "neither $PEERS nor the API load balancer $API_ADDRESS serves the cluster: look at the other servers"
  fi
}

join_member() {
  wait_for_member || fail "$1"
  wait_for_predecessors
  join "$member"
}

# etcd takes one learner at a time: when a cluster forms, servers join in the order of their numbers.
wait_for_predecessors() {
  for peer in $PREDECESSORS; do
    wait_until_served "$peer" || log "$peer does not answer: going on without it"
  done
}

# The credentials of the snapshots stand in this drop-in for the restore alone, so that they are never an argument.
restore() {
  log "restoring the snapshot $RESTORE_FROM"
  echo "cluster-init: true" > "$K3S_CONFIG/20-join.yaml"
  install -m 0600 "$ROOT/etc/platform/restore.yaml" "$K3S_CONFIG/30-restore.yaml"
  if ! "$ROOT/usr/local/bin/k3s" server --cluster-reset --cluster-reset-restore-path="$RESTORE_FROM"; then
    rm -f "$K3S_CONFIG/30-restore.yaml"
    fail "the snapshot $RESTORE_FROM could not be restored: is its name right, and does the object store answer?"
  fi
  rm -f "$K3S_CONFIG/30-restore.yaml" "$ROOT/etc/platform/restore.yaml"
}

wait_for_private_address
install_k3s
describe_machine
if [ "$ROLE" = server ]; then
  decide_server
  unit=k3s-server
else
  wait_until_served "$API_ADDRESS" || fail "the API load balancer $API_ADDRESS does not serve the cluster: look at the servers"
  join "$API_ADDRESS"
  unit=k3s-agent
fi
# Not waited for: k3s retries by itself from here on.
systemctl enable --now --no-block "$unit.service"
mkdir -p "$ROOT/var/lib/platform"
touch "$ROOT/var/lib/platform/booted"
log "$unit is started"

#!/bin/sh
# Makes the store what its files say: buckets with versions, a user each with a policy, and no other users.
# Usage: provision.sh <directory>, with the files
#   buckets      <bucket> <on|off> <days>: versions, and how long versions are kept that were overwritten or deleted
#   users        <user> <secret key>
#   <user>.json  the user's policy
# The store is the one in MC_HOST_store. Running again changes nothing. A bucket is never removed, nor what is in it.
# The image has a shell and coreutils, no grep, sed or awk. Secrets are neither arguments nor printed.
set -eu
files=$1

attempts=0
until mc ready store >/dev/null 2>&1; do
    attempts=$((attempts + 1))
    if [ "$attempts" -ge "${PROVISION_ATTEMPTS:-60}" ]; then
        echo "the store did not become ready: look at its servers' logs, then deploy again" >&2
        exit 1
    fi
    sleep 2
done

while read -r bucket versions days; do
    mc mb --ignore-existing "store/$bucket" >/dev/null
    if [ "$versions" = on ]; then
        mc version enable "store/$bucket" >/dev/null
        printf '{"Rules":[{"ID":"noncurrent","Status":"Enabled","Filter":{"Prefix":""},"NoncurrentVersionExpiration":{"NoncurrentDays":%s}}]}' \
            "$days" | mc ilm rule import "store/$bucket" >/dev/null
    fi
    echo "bucket $bucket"
done <"$files/buckets"

declared=" "
while read -r user secret; do
    # What is read from a pipe is no argument, so that nobody sees it in a list of processes.
    printf '%s\n%s\n' "$user" "$secret" | mc admin user add store >/dev/null
    mc admin policy create store "$user" "$files/$user.json" >/dev/null
    case "$(mc admin user info store "$user" --json | tr -d ' \n')" in
        *"\"policyName\":\"$user\""*) ;;
        *) mc admin policy attach store "$user" --user "$user" >/dev/null ;;
    esac
    declared="$declared$user "
    echo "user $user"
done <"$files/users"

mc admin user list store --json | tr -d ' ' >"${TMPDIR:-/tmp}/users"
while read -r line; do
    case "$line" in *'"accessKey":"'*) ;; *) continue ;; esac
    user=${line#*\"accessKey\":\"}
    user=${user%%\"*}
    case "$declared" in *" $user "*) continue ;; esac
    mc admin user remove store "$user" >/dev/null
    mc admin policy remove store "$user" >/dev/null 2>&1 || true
    echo "user $user removed"
done <"${TMPDIR:-/tmp}/users"

#!/bin/bash
# A snapshot of the log store STORE in the new directory SNAPSHOT, which is on the same file system.
# Waits up to ten minutes for a compaction that runs. Parquet files, which never change, are linked; what still grows is copied.
set -euo pipefail
store=$1 snapshot=$2

rm -rf "$snapshot"
exec 9>>"$store/.compaction.lock"
flock --exclusive --wait 600 9 || { echo "compaction of $store runs for over ten minutes: try again later" >&2; exit 1; }
mkdir -m 0700 "$snapshot"
cd "$store"
for name in *; do
  case $name in
    requests | access) cp --archive --link "$name" "$snapshot/" ;;
    *) cp --archive "$name" "$snapshot/" ;;
  esac
done

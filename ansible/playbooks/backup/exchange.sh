#!/bin/bash
# Puts the unpacked backup NEW in place of what STORE has compacted: exchange.sh STORE NEW keep|replace
# Incoming lines stay, too. How far a file is compacted goes by its name and length, so a file that does not go on where the backup's ends
# gets a new name. A record that is there twice then is counted once.
set -euo pipefail
store=$1 new=$2 existing=$3

exec 9>>"$store/.compaction.lock"
flock --exclusive --wait 600 9 || { echo "compaction of $store runs for over ten minutes: try again later" >&2; exit 1; }
cd "$store"
if [ -n "$(find requests access -name '*.parquet' -print -quit 2>/dev/null)" ]; then
  if [ "$existing" != replace ]; then
    echo "$store holds compacted records already; to put them aside: -e restore_replace=yes" >&2
    exit 1
  fi
fi
now=$(date -u +%Y%m%dT%H%M%SZ)
for file in incoming/*/*.jsonl; do
  [ -e "$file" ] || continue
  if [ ! -e "$new/$file" ] || ! cmp --quiet --bytes="$(stat --format=%s "$new/$file")" "$new/$file" "$file"; then
    mv "$file" "${file%/*}/restored-$now-${file##*/}"
  fi
done
aside=$store/.replaced-$now
mkdir -m 0700 "$aside"
cd "$new"
for name in *; do
  case $name in
    incoming | backup.json) continue ;;
  esac
  if [ -e "$store/$name" ]; then mv "$store/$name" "$aside/"; fi
  mv "$name" "$store/"
done
cp --archive --no-clobber incoming/. "$store/incoming/"
if rmdir "$aside" 2>/dev/null; then echo "Nothing was replaced."; else echo "What was there before is in $aside."; fi

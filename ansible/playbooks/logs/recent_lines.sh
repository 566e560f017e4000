#!/bin/sh
# The last lines of every part of the service on this host: recent_lines.sh SINCE LINES [REGULAR EXPRESSION]
# SINCE is a time span such as 10m, 2h or 1d.
since=$1 lines=$2 pattern=$3

show() {
  found=$(grep -E -e "$pattern" | tail -n "$lines")
  if [ -n "$found" ]; then printf '== %s\n%s\n' "$1" "$found"; fi
}

case $since in
  *d) hours=$((${since%d} * 24))h ;; # Docker knows no days.
  *) hours=$since ;;
esac
for container in $(docker ps --all --filter name=^/llm-gateway- --format '{{.Names}}' | sort); do
  docker logs --since "$hours" "$container" 2>&1 | show "$container"
done
for unit in /etc/systemd/system/llm-gateway-*.service; do
  [ -e "$unit" ] || continue
  unit=${unit##*/}
  journalctl --quiet --no-pager --output=cat --since="-$since" --unit="$unit" | show "$unit"
done
exit 0

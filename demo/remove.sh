#!/usr/bin/env bash
# Removes what demo/run.sh made: the test hosts with everything on them, their networks, keys and inventories.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
export ANSIBLE_DISPLAY_OK_HOSTS=false ANSIBLE_DISPLAY_SKIPPED_HOSTS=false
for name in demo demo-fleet; do
  (cd ansible && ansible-playbook -i localhost, playbooks/test_hosts_remove.yml -e "test_hosts_directory=$PWD/../build/$name" \
    -e "test_hosts_prefix=llm-gateway-$name" -e "test_hosts_network=llm-gateway-$name")
done
cat <<'END'
The images stay, which makes the next time quicker. To remove them too:
  docker images --quiet --filter 'reference=llm-gateway*' | sort -u | xargs --no-run-if-empty docker rmi --force
  rm -rf build/images
END

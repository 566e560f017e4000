#!/usr/bin/env bash
# Shows the whole system at work on test hosts of its own: deploys it, evaluates it, and compares what was called with what is billed.
#   demo/run.sh          one host with everything on it
#   demo/run.sh fleet    three hosts; Fluent Bit ships the records to the first
# Running it again is fine: what is there already stays. demo/remove.sh removes it all.
# Exit code: 0 the evaluation passed and the store holds every call, else not 0.
set -euo pipefail
cd "$(dirname "$0")/.."
started=${DEMO_STARTED:-$(date +%s)}

case ${1:-single} in
  single) name=demo hosts=1 inventory=all_in_one network=172.30.98 command='make demo' ;;
  fleet) name=demo-fleet hosts=3 inventory=lab network=172.30.88 command='make demo-fleet' ;;
  *) echo "demo/run.sh: say nothing, or fleet; not $1" >&2; exit 2 ;;
esac
directory=$PWD/build/$name
first_host=$network.11
url=http://$first_host:5000
PATH=$PWD/.venv/bin:$PATH
# The hosts are on this machine: no proxy stands between.
export NO_PROXY="${NO_PROXY:+$NO_PROXY,}$network.11,$network.12,$network.13"
export no_proxy=$NO_PROXY
# Of what Ansible does, only what changed something.
export ANSIBLE_DISPLAY_OK_HOSTS=false ANSIBLE_DISPLAY_SKIPPED_HOSTS=false

seconds() { echo $(($(date +%s) - started)); }
step() { printf '\n\033[1m== %s\033[0m (%s s so far)\n' "$1" "$(seconds)"; }
play() { (cd ansible && ansible-playbook "$@"); }
deploy() { play -i "../inventories/$inventory" -i ../demo/inventory -i "$directory" "$@"; }
on_first_host=(ssh -o BatchMode=yes -o IdentitiesOnly=yes -o "UserKnownHostsFile=$directory/.ssh/known_hosts"
  -i "$directory/.ssh/id_ed25519" "root@$first_host")

step "A Docker Engine on this machine"
command -v ssh >/dev/null || tests/support/install_packages.sh openssh-client
tests/support/ensure_docker.sh
docker version --format 'Docker Engine {{.Server.Version}} answers'
if [ "$name" = demo-fleet ]; then
  image=$(sed -nE 's/^log_shipper_image: *"?([^" ]+)"?.*/\1/p' roles/log_shipper/defaults/main.yml)
  docker image inspect "$image" >/dev/null 2>&1 || docker pull "$image" || {
    echo "demo/run.sh: the fleet ships its records with $image, which is neither on this machine nor can be pulled." >&2
    echo "Load it (docker load) and run this again, or see the system on one host, which needs no shipping: make demo" >&2
    exit 1
  }
fi

step "$hosts test host(s): containers with systemd, sshd and a Docker Engine of their own"
play -i localhost, playbooks/test_hosts_create.yml -e "test_hosts_count=$hosts" -e "test_hosts_directory=$directory" \
  -e "test_hosts_prefix=llm-gateway-$name" -e "test_hosts_network=llm-gateway-$name" -e "test_hosts_subnet=$network.0/24"

step "A provider that costs nothing: the emulator"
deploy playbooks/provider_emulator.yml

step "The service: ansible-playbook site.yml on inventories/$inventory"
deploy site.yml

step "Evaluate it through the load balancer"
since=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
gateway-eval run "$url" --cases demo/cases.json --repeat 5 --results "$directory/gateway_results.json"

step "Who called what, and what it cost: gateway-analytics on the log store's host"
account=0
demo/account.py "$directory/gateway_results.json" "$since" "${on_first_host[@]}" gateway-analytics || account=1
echo
"${on_first_host[@]}" gateway-analytics requests --since "$since" --by host --by instance
echo
"${on_first_host[@]}" gateway-analytics costs --since "$since" --by model
[ $account = 0 ] || { echo "demo/run.sh: the store does not hold what was called" >&2; exit 1; }

cat <<END

$(printf '\033[1m== Done in %s s\033[0m' "$(seconds)")

Look around:
  curl $url/health
  curl -H 'Content-Type: application/json' -d '{"messages": [{"role": "user", "content": "Hello"}]}' $url/gateway/chat/invocations
  curl -H 'Content-Type: application/json' -d '{"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}' $url/v1/chat/completions
  .venv/bin/gateway-eval check $url
  docker exec -it llm-gateway-$name-1 bash       # the host: docker ps, gateway-analytics costs --by day
Every answer and every check of the evaluation: build/$name/gateway_results.json
Run it again: $command      Remove it all: make demo-remove
END

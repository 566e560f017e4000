#!/bin/sh
# Say in one JSON object what a host runs of the gateway. Changes nothing; where no engine answers, the object says that there is nothing.
#   look.sh IMAGE CONFIGURATIONS RELEASES
image=$1 configurations=$2 releases=$3
instance='{"name":{{json .Name}},"image":{{json .Image}},"digest":{{json (index .Config.Labels "llm-gateway.digest")}},
"cpus":{{.HostConfig.NanoCpus}},"memory":{{.HostConfig.Memory}},"health":"{{if .State.Health}}{{.State.Health.Status}}{{end}}"}'
instance=$(printf %s "$instance" | tr -d '\n')

printf '{"account":"%s:%s",' "$(id -u llm-gateway 2>/dev/null)" "$(id -g llm-gateway 2>/dev/null)"
printf '"bridge":"%s",' "$(docker network inspect --format '{{range .IPAM.Config}}{{.Gateway}}{{end}}' bridge 2>/dev/null)"
printf '"image":"%s",' "$([ -z "$image" ] || docker image inspect --format '{{.Id}}' "$image" 2>/dev/null)"
printf '"containers":[%s],' "$(docker ps --all --quiet --filter label=llm-gateway.instance 2>/dev/null |
  xargs -r docker inspect --format "$instance" 2>/dev/null | paste -sd,)"
printf '"configurations":[%s],' "$(cd "$configurations" 2>/dev/null && printf '"%s"\n' */complete | sed 's,/complete,,; /\*/d' | paste -sd,)"
# One line each; the last one in force first.
printf '"releases":[%s]}\n' "$(cat "$releases"/*.json 2>/dev/null | paste -sd,)"

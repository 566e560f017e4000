#!/usr/bin/env bash
# Makes sure that this machine can run test hosts: a Docker Engine that answers, and debootstrap for networks without an image registry.
# Leaves a running engine alone. On Debian and Ubuntu, as root or with sudo, installs and starts the distribution's own engine;
# elsewhere says what to install. Exit code 0: the engine answers; 1: it does not, and standard error says what to do.
set -euo pipefail
packages=$(dirname "$0")/install_packages.sh
start_timeout_s=60

say() { echo "ensure_docker.sh: $*" >&2; }
answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

start_engine() {
  if [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl enable --quiet --now docker.service
  else
    # No service manager, as in a container or a small virtual machine: the engine runs until the machine stops.
    say "systemd does not run here; starting dockerd in the background, its log is /var/log/dockerd.log"
    "${as_root[@]}" sh -c 'setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &'
  fi
  local deadline=$((SECONDS + start_timeout_s))
  until [ -S /run/docker.sock ] && "${as_root[@]}" docker version >/dev/null 2>&1; do
    ((SECONDS < deadline)) || { say "the Docker Engine did not answer within ${start_timeout_s} s; see its log"; exit 1; }
    sleep 0.5
  done
}

if ! answers; then
  [ -z "${DOCKER_HOST:-}" ] || { say "no Docker Engine answers at DOCKER_HOST=$DOCKER_HOST; start it, or unset DOCKER_HOST"; exit 1; }
  if ! command -v dockerd >/dev/null; then
    command -v apt-get >/dev/null || { say "install Docker Engine 20.10 or newer, start it, then run this again"; exit 1; }
    say "installing Docker Engine from this distribution"
    "$packages" docker.io iptables iproute2
    # Newer releases keep the docker command in a package of its own.
    command -v docker >/dev/null || "$packages" docker-cli
  fi
  "${as_root[@]}" docker version >/dev/null 2>&1 || start_engine
  answers || { say "a Docker Engine runs, but not for $(id -un): add yourself to its group (sudo usermod -aG docker $(id -un)), log in again"; exit 1; }
fi

# Needed only where debian:trixie-slim cannot be pulled; then base_image.sh says what is missing.
if ! docker image inspect debian:trixie-slim >/dev/null 2>&1 && ! command -v debootstrap >/dev/null && command -v apt-get >/dev/null; then
  "$packages" debootstrap || true
fi

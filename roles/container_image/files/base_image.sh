#!/bin/sh
# Make sure that a Debian base image is on this machine's Docker Engine, and print its name.
# The registry's own image is used where it is here or can be pulled; elsewhere the same
# packages are put together by debootstrap, which takes about half a minute and needs root.
#
#   base_image.sh [--source auto|pull|debootstrap] [--image NAME] [--suite SUITE] [--dry-run]
#
# --dry-run pulls and builds nothing: it prints the name that a run would most likely print.
# Standard output: the image's name, and nothing else. Standard error: what is being done.
# Exit code: 0 done, 1 no such image can be had, 2 wrong usage.
set -eu

source=auto
image=debian:trixie-slim
suite=trixie
dry_run=''
pull_timeout_s=180

say() { echo "base_image.sh: $*" >&2; }
stop() { say "$*"; exit 1; }
wrong() { say "$*"; exit 2; }

while [ $# -gt 0 ]; do
  if [ "$1" = --dry-run ]; then dry_run=1; shift; continue; fi
  [ $# -ge 2 ] || wrong "$1 needs a value"
  case $1 in
    --source) source=$2 ;;
    --image) image=$2 ;;
    --suite) suite=$2 ;;
    *) wrong "unknown option $1" ;;
  esac
  shift 2
done
case $source in auto|pull|debootstrap) ;; *) wrong "--source is auto, pull or debootstrap, not $source" ;; esac
own_image=llm-gateway-base:$suite

on_engine() { docker image inspect "$1" >/dev/null 2>&1; }

pull() {
  say "pulling $image"
  timeout "$pull_timeout_s" docker pull --quiet "$image" >/dev/null
}

# mirror SUFFIX: where this machine itself installs from, where it runs Debian ("", "-security").
mirror() {
  . /etc/os-release
  [ "$ID" = debian ] || return 0
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' 2>/dev/null |
    awk -v release="$VERSION_CODENAME$1" '$1 == release && $2 ~ /^http/ {print $2; exit}'
}

bootstrap() {
  [ "$(id -u)" = 0 ] || stop "debootstrap needs root: run as root, or pull $image from a registry first"
  command -v debootstrap >/dev/null || stop "debootstrap is missing: apt-get install debootstrap, or pull $image first"
  from=${DEBIAN_MIRROR:-$(mirror "")}
  security=${DEBIAN_SECURITY_MIRROR:-$(mirror -security)}
  [ -n "$from" ] || stop "set DEBIAN_MIRROR to the address of a Debian mirror (and DEBIAN_SECURITY_MIRROR), or pull $image first"
  # Not in /tmp, where machines that are careful let nothing be executed.
  tree=$(mktemp -d "${TMPDIR:-/var/tmp}/base_image.XXXXXX")
  trap 'rm -rf "$tree"' EXIT
  trap 'exit 130' INT TERM
  say "bootstrapping Debian $suite from $from"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$tree" "$from" >"$tree.log" 2>&1 || {
    tail -n 20 "$tree.log" >&2
    stop "debootstrap failed; its whole log is $tree.log"
  }
  rm -f "$tree.log"
  printf 'deb %s main\n' "$from $suite" "$from $suite-updates" ${security:+"$security $suite-security"} >"$tree/etc/apt/sources.list"
  # As in Debian's own slim images: no manuals and no package lists.
  mkdir -p "$tree/etc/dpkg/dpkg.cfg.d"
  cat >"$tree/etc/dpkg/dpkg.cfg.d/docker" <<'SLIM'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
SLIM
  find "$tree/usr/share/doc" -type f ! -name copyright -delete
  rm -rf "$tree"/usr/share/info/* "$tree"/usr/share/locale/* "$tree"/usr/share/man/* \
    "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/* "$tree"/var/log/* "$tree"/dev/*
  tar -C "$tree" -c . | docker import --change 'CMD ["bash"]' - "$own_image" >/dev/null
}

if [ "$source" != debootstrap ]; then
  if on_engine "$image"; then echo "$image"; exit 0; fi
  if [ "$source" = auto ] && on_engine "$own_image"; then echo "$own_image"; exit 0; fi
  if [ -n "$dry_run" ] || pull; then echo "$image"; exit 0; fi
  [ "$source" = auto ] || stop "$image cannot be pulled; set the source to debootstrap to build a base image here"
  say "no registry answers; a base image is built here instead"
fi
[ -n "$dry_run" ] || on_engine "$own_image" || bootstrap
echo "$own_image"

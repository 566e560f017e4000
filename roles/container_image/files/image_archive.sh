#!/bin/sh
# Write an image of this machine's Docker Engine to a file, ready to be loaded on other machines.
#
#   image_archive.sh --image NAME:TAG --archive FILE.tar.gz [--make COMMAND...]
#
# An image that the engine does not have is made first by COMMAND, which ends the line.
# FILE appears when it is complete; archives of the same name's other tags beside it are removed.
# Exit code: 0 done, 1 the image cannot be had, 2 wrong usage.
set -eu

say() { echo "image_archive.sh: $*" >&2; }

image='' archive=''
while [ $# -gt 0 ] && [ "$1" != --make ]; do
  [ $# -ge 2 ] || { say "$1 needs a value"; exit 2; }
  case $1 in
    --image) image=$2 ;;
    --archive) archive=$2 ;;
    *) say "unknown option $1"; exit 2 ;;
  esac
  shift 2
done
[ -n "$image" ] && [ -n "$archive" ] || { say "--image and --archive are needed"; exit 2; }
[ $# -eq 0 ] || shift

if ! docker image inspect "$image" >/dev/null 2>&1; then
  [ $# -gt 0 ] || { say "the engine has no $image"; exit 1; }
  "$@" >&2 || { say "$image cannot be had: $1 failed"; exit 1; }
fi

# Fast compression: the slow levels cost more time than the network saves. Every engine reads gzip.
gzip=$(command -v pigz || command -v gzip)
mkdir -p "$(dirname "$archive")"
part=$(mktemp "$archive.XXXXXX")
trap 'rm -f "$part" "$part.tar"' EXIT
trap 'exit 130' INT TERM
docker save --output "$part.tar" "$image"
"$gzip" -1 --stdout "$part.tar" >"$part"
name=$(basename "$archive" .tar.gz)
find "$(dirname "$archive")" -maxdepth 1 -name "${name%%:*}:*.tar.gz" -delete
mv "$part" "$archive"

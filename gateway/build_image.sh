#!/usr/bin/env bash
# Build the image of the gateway or of the tools, or print the digest of what it is made from.
#
#   gateway/build_image.sh --target gateway --tag llm-gateway:0.1.0-0123456789ab [--base debian:trixie-slim]
#                          [--ca-bundle FILE] [--wheels DIR] [--no-index] [--network NETWORK]
#   gateway/build_image.sh --target gateway --print-digest     # 12 hex digits
#   gateway/build_image.sh --target gateway --print-tag        # <version>-<digest>
#
#   --target      gateway (gateway-serve) or tools (gateway-analytics, gateway-eval). Default: gateway.
#   --base        image to build on; a Debian 13 or compatible. Default: debian:trixie-slim.
#   --ca-bundle   PEM file that pip trusts during the build, for networks that inspect TLS. Not in the final image.
#   --wheels      directory of wheels that pip may use beside, or with --no-index instead of, an index.
#   --network     docker build --network, for hosts whose containers have no route out.
#
# PIP_INDEX_URL and PIP_EXTRA_INDEX_URL are passed on from the environment.
# The context is assembled from the working tree, so the build needs neither git nor root;
# the digest covers the target's own sources, its pinned requirements, Dockerfile and base name, and nothing else.
set -euo pipefail
export LC_ALL=C

fail() { echo "build_image.sh: $*" >&2; exit 2; }

target=gateway tag='' base=debian:trixie-slim ca_bundle='' wheels='' network='' no_index='' print=''
while (($#)); do
  case $1 in
    --target | --tag | --base | --ca-bundle | --wheels | --network)
      (($# > 1)) || fail "$1 needs a value"
      name=${1#--} && declare "${name//-/_}=$2" && shift 2 ;;
    --no-index) no_index=1 && shift ;;
    --print-digest | --print-tag) print=${1#--print-} && shift ;;
    -h | --help) sed -n '2,/^set -euo/p' "$0" | sed -E '$d; s/^# ?//' && exit 0 ;;
    *) fail "unknown option $1; see --help" ;;
  esac
done

case $target in
  gateway) programs=(gateway/gateway_serve) scripts='gateway-serve' ;;
  tools) programs=(analytics/gateway_analytics eval/gateway_eval) scripts='gateway-(analytics|eval)' ;;
  *) fail "--target is gateway or tools, not $target" ;;
esac
[[ -n $tag || -n $print ]] || fail "--tag is missing, such as --tag llm-gateway:test"
[[ -z $ca_bundle || -r $ca_bundle ]] || fail "--ca-bundle $ca_bundle is not a readable file"
[[ -z $wheels || -d $wheels ]] || fail "--wheels $wheels is not a directory"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/project" "$context/requirements" "$context/extra/wheels"

cp "$root/gateway/Dockerfile" "$root/gateway/.dockerignore" "$context/"
cp "$root/requirements/build.txt" "$root/requirements/$target.txt" "$context/requirements/"
cp "$root/LICENSE" "$context/project/"
echo "MLflow Gateway Fleet" > "$context/project/README.md"
for package in contracts/gateway_contracts "${programs[@]}"; do
  mkdir -p "$context/project/$(dirname "$package")"
  cp -R "$root/$package" "$context/project/$package"
done
find "$context/project" -name __pycache__ -prune -exec rm -rf {} +
# Prices are applied when a question is asked; a new price must not make a new gateway.
if [[ $target == gateway ]]; then
  find "$context/project/contracts" \( -name 'price*' -o -name 'access_record*' \) -prune -exec rm -rf {} +
fi
# The image has its own program's packages and commands only, and of pyproject.toml what a build reads:
# a change to another program or to a linter's setting makes no new image.
awk -v scripts="^$scripts = " -v packages="^  \"(contracts/.*|$(IFS='|' && echo "${programs[*]}"))\"," '
  /^\[/ { keep = /^\[(build-system|project|project\.scripts|tool\.hatch\.build\.targets\.wheel)\]$/ }
  keep && !(/^gateway-.* = / && $0 !~ scripts) && !(/^  "[a-z]+\/gateway_/ && $0 !~ packages)
' "$root/pyproject.toml" > "$context/project/pyproject.toml"
find "$context" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +

digest=$({ echo "$target $base"; cd "$context" && find . -type f -print0 | sort -z | xargs -0 sha256sum; } |
  sha256sum | cut -c1-12)
version=$(sed -nE 's/^version = "(.*)"$/\1/p' "$root/pyproject.toml")
case $print in
  digest) echo "$digest" && exit 0 ;;
  tag) echo "$version-$digest" && exit 0 ;;
esac

if [[ -n $ca_bundle ]]; then cp "$ca_bundle" "$context/extra/ca-bundle.crt"; else : > "$context/extra/ca-bundle.crt"; fi
if [[ -n $wheels ]]; then cp "$wheels"/*.whl "$context/extra/wheels/"; fi

arguments=(--target "$target" --tag "$tag" --build-arg "BASE_IMAGE=$base" --build-arg "PROGRAM_SET=$target")
for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL HTTP_PROXY HTTPS_PROXY NO_PROXY; do
  if [[ -n ${!name:-} ]]; then arguments+=(--build-arg "$name"); fi
done
if [[ -n $no_index ]]; then arguments+=(--build-arg PIP_NO_INDEX=1); fi
if [[ -n $network ]]; then arguments+=(--network "$network"); fi
docker build "${arguments[@]}" \
  --label "org.opencontainers.image.title=mlflow-gateway-fleet $target" \
  --label "org.opencontainers.image.version=$version" \
  --label "llm-gateway.build-digest=$digest" "$context"

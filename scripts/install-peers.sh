#!/usr/bin/env bash
# Installs and builds the programs that the tests hold Plastron against: go-spiffe, py-spiffe, java-spiffe, h2spec, openssl,
# perl and strace. Idempotent; what is there is kept. Needs a Debian-like system for what is missing (and root or sudo then).
#   scripts/install-peers.sh            everything
#   scripts/install-peers.sh --check    says what is missing, installs nothing, exits 1 if anything is
set -euo pipefail
cd "$(dirname "$0")/../tests/interop/peers"
built=$PWD/.built
mkdir -p "$built"

missing=()
for pair in openssl:openssl perl:perl strace:strace go:golang python3:python3 mvn:maven java:default-jre-headless; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)

if [ "${1:-}" = --check ]; then
  [ ${#missing[@]} -eq 0 ] || { echo "missing: ${missing[*]}"; exit 1; }
  for peer in go-peer h2spec py-venv/bin/python java-peer/java-spiffe-peer-0.jar; do
    [ -e "$built/$peer" ] || { echo "not built: $peer"; exit 1; }
  done
  echo "all peers are there"; exit 0
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

echo "go-spiffe: $(go version)"
(cd go-spiffe && go build -o "$built/go-peer" .)
(cd ../descriptors && go build -o /dev/null .)

# A conformance suite of HTTP/2.
(cd h2spec && go build -o "$built/h2spec" github.com/summerwind/h2spec/cmd/h2spec)

echo "py-spiffe: $(python3 --version)"
[ -x "$built/py-venv/bin/python" ] || python3 -m venv "$built/py-venv"
"$built/py-venv/bin/pip" install --quiet --disable-pip-version-check -r py-spiffe/requirements.txt

echo "java-spiffe: $(java -version 2>&1 | head -1)"
if [ ! -e "$built/java-peer/java-spiffe-peer-0.jar" ] || [ java-spiffe/src/main/java/peer/Peer.java -nt "$built/java-peer/java-spiffe-peer-0.jar" ]; then
  (cd java-spiffe && mvn -q -B package && rm -rf "$built/java-peer" && mv target "$built/java-peer")
fi
echo "all peers are there"

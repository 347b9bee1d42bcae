# Sourced by the other scripts: where things are, and how they speak.
# shellcheck shell=bash

set -euo pipefail

# The checkout's root; every script works from there.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd -- "$root"

# A shell that is no login shell misses rustup's directory, and a plain user's shell on Debian the sbin directories.
if [ -d "${CARGO_HOME:-$HOME/.cargo}/bin" ]; then
  PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
fi
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

# Where cargo builds, and the binary that the demo, the tests and the benchmarks run.
target_dir=${CARGO_TARGET_DIR:-$root/target}
# shellcheck disable=SC2034 # used by the scripts that source this file
kiln=$target_dir/debug/kiln

say() { printf '\n==> %s\n' "$*"; }

note() { printf '    %s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

have() { command -v -- "$1" >/dev/null 2>&1; }

# Fetches one git source; run by /bin/sh in a sandbox of its own, with nothing of the host but its tools.
# Everything that others chose comes in variables and is quoted; see `sandbox.rs` for what they are.
# What is found out goes to descriptor 3, a line each; the error output of the git command that decided to descriptor 2.
set -u
umask 022
problem=/tmp/problem
mark=refs/kiln/source
heads='+refs/heads/*:refs/remotes/origin/*'
tags='+refs/tags/*:refs/tags/*'

say() { printf '%s\n' "$*" >&3; }
# What it was that failed, for a message of AWS's words; `git` where git's own words say it.
fail() { [ -f "$problem" ] && tail -c 16384 "$problem" >&2; say "failed $1"; exit 1; }

if [ -n "${KILN_SSH_KEY:-}" ]; then
  # In memory; no disk has it.
  (umask 077; printf '%s\n' "$KILN_SSH_KEY" >/dev/shm/key; printf '%s\n' "$KILN_KNOWN_HOSTS" >/dev/shm/known_hosts)
  unset KILN_SSH_KEY KILN_KNOWN_HOSTS
fi

# The repository that is fetched into: the mirror if there is one, else that of the checkout.
g() { git --git-dir="$repository" "$@" </dev/null; }
fetch() { g fetch --quiet --force --no-recurse-submodules --no-write-fetch-head "$@" 2>"$problem"; }
has() { g cat-file -e "$1^{commit}" 2>/dev/null; }
is_absent() { grep -q "couldn't find remote ref" "$problem"; }
is_unserved() { grep -Eq 'not our ref|unadvertised object|did not send all necessary objects|no such remote ref' "$problem"; }
is_damaged() { grep -Eiq 'corrupt|bad object|bad pack|unable to read|missing (blob|tree|commit)|garbage|not (a git repository|in a git directory)|bad config|inflate|does not point to a valid object|packfile .* (cannot|is far)' "$problem"; }

# All branches and tags, and what is asked for beside them.
everything() { fetch $prune origin "$heads" "$tags" "$@"; }
point() { commit=$(g rev-parse --verify --quiet --end-of-options "$1^{commit}"); }

# Sets `commit`. 1: git failed; 2: there is no such reference.
find_commit() {
  case $KILN_WANTED in
    head)
      if [ "$KILN_DEPTH" = 0 ]; then everything "+HEAD:$mark"; else fetch --depth="$KILN_DEPTH" --no-tags origin "+HEAD:$mark"; fi ||
        { is_absent && return 2; return 1; }
      point "$mark" || return 2 ;;
    reference)
      if [ -n "$KILN_COMMIT" ]; then
        if [ "$KILN_DEPTH" != 0 ] && fetch --depth="$KILN_DEPTH" --no-tags origin "+$KILN_COMMIT:$mark"; then
          point "$KILN_COMMIT" && return 0
        fi
        fetch --no-tags origin "+$KILN_REFERENCE:$mark" || { is_absent && return 2; return 1; }
        has "$KILN_COMMIT" || fetch --no-tags origin "+$KILN_COMMIT:$mark" || { is_unserved && return 2; return 1; }
        point "$KILN_COMMIT" || return 2
        return 0
      fi
      if [ "$KILN_DEPTH" = 0 ]; then everything "+$KILN_REFERENCE:$mark"; else fetch --depth="$KILN_DEPTH" --no-tags origin "+$KILN_REFERENCE:$mark"; fi ||
        { is_absent && return 2; return 1; }
      point "$mark" || return 2 ;;
    commit)
      if [ "$KILN_DEPTH" != 0 ]; then
        # Every server that speaks version 2 of the protocol serves it; others want the whole history.
        if fetch --depth="$KILN_DEPTH" --no-tags origin "+$KILN_COMMIT:$mark"; then
          point "$KILN_COMMIT" || return 2
          return 0
        fi
        is_unserved || return 1
      fi
      everything || return 1
      # One that no branch has any more.
      has "$KILN_COMMIT" || fetch --no-tags origin "+$KILN_COMMIT:$mark" || { is_unserved && return 2; return 1; }
      point "$KILN_COMMIT" || return 2 ;;
    name)
      if [ "$KILN_DEPTH" != 0 ]; then
        for kind in heads tags; do
          if fetch --depth="$KILN_DEPTH" --no-tags origin "+refs/$kind/$KILN_REFERENCE:$mark"; then
            point "$mark" || return 2
            return 0
          fi
          is_absent || return 1
        done
        # The beginning of a commit's id is looked for in the whole history.
        [ "$KILN_IS_HEX" = 1 ] || return 2
      fi
      everything || return 1
      point "refs/remotes/origin/$KILN_REFERENCE" || point "refs/tags/$KILN_REFERENCE" ||
        { [ "$KILN_IS_HEX" = 1 ] && point "$KILN_REFERENCE"; } || return 2 ;;
  esac
}

begin() {
  [ -f "$repository/HEAD" ] || git init --quiet ${1:+"$1"} --template= -- "$2" 2>"$problem" || return 1
  g config remote.origin.url "$KILN_ORIGIN" 2>"$problem" && g config remote.origin.fetch "$heads" 2>"$problem"
}

# A checkout whose objects are copies of the mirror's.
from_mirror() {
  repository=$KILN_MIRROR/mirror.git
  prune=--prune
  begin --bare "$repository" || return 1
  # Many small packs are slow; that is looked after where nobody waits for it often.
  [ "$(find "$repository/objects/pack" -name '*.pack' 2>/dev/null | wc -l)" -lt 40 ] || g repack -a -d -q 2>"$problem" || return 1
  find_commit || return $?
  own=$KILN_CHECKOUT/.git
  git init --quiet --template= -- "$KILN_CHECKOUT" 2>"$problem" &&
    rm -rf "$own/objects" "$own/refs" && cp -R "$repository/objects" "$repository/refs" "$own/" 2>"$problem" || return 1
  [ ! -f "$repository/packed-refs" ] || cp "$repository/packed-refs" "$own/" 2>"$problem" || return 1
  say copied
  repository=$own
  prune=
  begin '' "$KILN_CHECKOUT"
}

directly() {
  repository=$KILN_CHECKOUT/.git
  prune=
  begin '' "$KILN_CHECKOUT" || return 1
  find_commit
}

checkout() { g --work-tree="$KILN_CHECKOUT" checkout --quiet --force --detach "$commit" -- 2>"$problem"; }
empty() { find "$1" -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +; }

cd "$KILN_CHECKOUT" || fail git
if [ -n "$KILN_MIRROR" ]; then
  from_mirror && checkout
  case $? in
    0) ;;
    2) fail reference ;;
    *)
      # One that cannot be trusted is made anew; whatever else went wrong goes wrong again.
      is_damaged || [ "$repository" != "$KILN_MIRROR/mirror.git" ] || fail git
      say 'mirror made anew'
      empty "$KILN_MIRROR"
      empty "$KILN_CHECKOUT"
      from_mirror
      case $? in 0) checkout || fail git ;; 2) fail reference ;; *) fail git ;; esac ;;
  esac
else
  directly
  case $? in 0) checkout || fail git ;; 2) fail reference ;; *) fail git ;; esac
fi
say "commit $commit"
g update-ref -d "$mark" 2>/dev/null
# Where it was fetched from may be another place than what it is known by.
g config remote.origin.url "$KILN_URL" 2>"$problem" || fail git

# From here on it is the repository that says where to fetch from.
export GIT_ALLOW_PROTOCOL="$KILN_PROTOCOLS"
if [ "$KILN_SUBMODULES" = 1 ] && [ -e .gitmodules ]; then
  submodules() { git submodule --quiet update --init --recursive "$@" </dev/null >"$problem" 2>&1; }
  if [ "$KILN_DEPTH" = 0 ]; then submodules; else submodules --depth "$KILN_DEPTH" || submodules; fi || fail submodule
fi

# Files that are kept elsewhere: their contents in place of what points to them.
large() {
  [ -n "$(git ls-files ':(attr:filter=lfs)' | head -n 1)" ] || return 0
  if ! command -v git-lfs >/dev/null; then
    say lfs-missing
    return 0
  fi
  git -c filter.lfs.clean='git-lfs clean -- %f' -c filter.lfs.process='git-lfs filter-process' \
    -c filter.lfs.required=true lfs pull </dev/null >"$problem" 2>&1
}
large || fail lfs
if [ "$KILN_SUBMODULES" = 1 ] && [ -e .gitmodules ]; then
  # shellcheck disable=SC2016
  for path in $(git submodule foreach --quiet --recursive 'printf "%s\n" "$displaypath"' 2>/dev/null | grep -E '^[A-Za-z0-9._/-]+$'); do
    (cd -- "$KILN_CHECKOUT/$path" && large) || fail lfs
  done
fi
say 'done'

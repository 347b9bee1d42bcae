# Installs an environment's packages in the file system that it runs in, without network, and packs what has changed.
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8 HOME=/root
export PYTHONDONTWRITEBYTECODE=1
SOURCE_DATE_EPOCH=$(cat epoch)
export SOURCE_DATE_EPOCH
here=$PWD
work=$(mktemp -d)

# What is there before, and a moment after which all else is newer.
find / \( -path /proc -o -path /sys -o -path /dev -o -path /codebuild -o -path /tmp -o -path /run \) -prune -o -print0 |
  LC_ALL=C sort -z >"$work/before"
sleep 0.05
: >"$work/stamp"
sleep 0.05

. ./before.sh

# Nothing is started because it is installed.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
if [ -s debian ]; then
  cd packages
  if [ -s ../essential ]; then
    # The bootstrap has only unpacked them: dpkg does not know of them yet.
    # shellcheck disable=SC2046 # names of files without blanks
    dpkg --install --force-depends --force-unsafe-io $(cat ../essential)
  fi
  # shellcheck disable=SC2046
  apt-get -q --yes --no-install-recommends -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null \
    -o APT::Sandbox::User=root -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 \
    install $(sed 's,^,./,' ../debian)
  cd "$here"
fi
rm /usr/sbin/policy-rc.d

if [ -s wheels ]; then
  # By name: pip would note down where a file was.
  python3 -m pip install --quiet --no-index --find-links packages --no-deps --ignore-installed --no-compile --no-cache-dir \
    --break-system-packages --root-user-action=ignore --disable-pip-version-check --requirement wheels
  find /usr/local/lib/python3* -newer "$work/stamp" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  python3 -m compileall -q /usr/local/lib/python3*/dist-packages
fi

while IFS='|' read -r file strip to programs; do
  rm -rf "$work/unpacked"
  mkdir "$work/unpacked"
  case $file in
    *.whl | *.zip) unzip -q "packages/$file" -d "$work/unpacked" ;;
    *) tar --extract --file "packages/$file" --directory "$work/unpacked" --no-same-owner ;;
  esac
  mkdir -p "$(dirname "$to")"
  mv "$work/unpacked/$strip" "$to"
  # No archive says who may read it in a way that can be relied on.
  chmod -R u=rwX,go=rX "$to"
  if [ -n "$programs" ]; then
    # shellcheck disable=SC2086 # patterns
    (cd "$to" && chmod 755 $programs)
  fi
done <unpack

while IFS='|' read -r path target; do
  mkdir -p "$(dirname "$path")"
  ln -sfn "$target" "$path"
done <links

. ./after.sh

mkdir -p /codebuild/image
cp -R image/. /codebuild/image/
. ./pack.sh

# Packs the file system, or what install.sh has changed of it, so that equal packages give equal bytes.

# Logs, caches, copies of what was before, what is different on each machine or at each time.
find /var/log -type f -delete
rm -rf /var/cache/apt/archives/*.deb /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old \
  /var/lib/dpkg/*-old /var/lib/apt/lists/* /var/cache/apt/archives/lock /var/lib/dpkg/lock* /var/lib/dpkg/triggers/Lock \
  /etc/machine-id /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid- /etc/.pwd.lock \
  /etc/xml/*.old /var/lib/systemd/random-seed /root/.cache /root/.npm
mkdir -p /var/lib/apt/lists/partial
# The day on which a password was changed.
day=$((SOURCE_DATE_EPOCH / 86400))
if [ "$(find /etc/shadow -cnewer "$work/stamp")" ]; then
  sed -E -i "s/^([^:]*:[^:]*:)[0-9]+:/\\1$day:/" /etc/shadow
fi

changed= mounts=nothing
if [ -s changed ]; then
  changed="-cnewer $work/stamp"
  mounts='proc|sys|dev|run|tmp'
fi
# What the engine mounts, or puts there for each build, is no part of an image. The directories of the mounts are.
cd /
# shellcheck disable=SC2086 # two words or none
{
  find . \( -path './proc/*' -o -path './sys/*' -o -path './dev/*' -o -path './tmp/*' -o -path './run/*' -o -path ./codebuild \
    -o -path ./etc/hosts -o -path ./etc/hostname -o -path ./etc/resolv.conf \) -prune -o ! -path . $changed -print0
  find codebuild -maxdepth 0 -print0
  find codebuild/image -print0
} | sed -z 's,^\./,,' | grep -z -v -x -E "$mounts" | LC_ALL=C sort -z -u >"$work/files"

# What was there before and is not now; of a directory that is gone, the directory alone.
find / \( -path /proc -o -path /sys -o -path /dev -o -path /codebuild -o -path /tmp -o -path /run \) -prune -o -print0 |
  LC_ALL=C sort -z >"$work/after"
mkdir "$work/deleted"
if [ -s "$here/changed" ]; then
  LC_ALL=C comm -z -23 "$work/before" "$work/after" | tr '\0' '\n' | while read -r path; do
    if [ -d "$(dirname "$path")" ]; then
      mkdir -p "$work/deleted$(dirname "$path")"
      : >"$work/deleted$(dirname "$path")/.wh.$(basename "$path")"
    fi
  done
fi
(cd "$work/deleted" && find . -type f -print0) | sed -z 's,^\./,,' | LC_ALL=C sort -z >"$work/whiteouts"

pack() {
  tar --file "$here/layer.tar" --no-recursion --null --verbatim-files-from --numeric-owner --format=posix \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime "$@"
}
pack --create --directory / --files-from "$work/files"
if [ -s "$work/whiteouts" ]; then
  pack --append --owner=0 --group=0 --directory "$work/deleted" --files-from "$work/whiteouts"
fi
cd "$here"
rm -rf "$work"

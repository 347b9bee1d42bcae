# Unpacks Debian's essential packages: a file system in which they can be installed. Runs on any image with dpkg-deb.
set -eu
root=$(mktemp -d)
chmod 755 "$root"
# Debian's directories of old are links, which no package makes.
for name in bin sbin lib lib64; do
  mkdir -p "$root/usr/$name"
  ln -s "usr/$name" "$root/$name"
done
while read -r file; do
  dpkg-deb --extract "packages/$file" "$root"
done <essential
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
: >"$root/var/lib/dpkg/status"
: >"$root/var/lib/dpkg/available"
tar --create --file layer.tar --directory "$root" --sort=name --mtime=@0 --numeric-owner --format=gnu .

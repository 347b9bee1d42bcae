# What works on any file system: where it is an overlay already, there can be no other over it.
mkdir -p /etc/containers
printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n' >/etc/containers/storage.conf

# Starts the daemon, and then what it is told, as the entry points of AWS's images do.
cat >/usr/local/bin/dockerd-entrypoint.sh <<'END'
#!/bin/sh
set -e
/usr/local/bin/dockerd --host=unix:///var/run/docker.sock >/var/log/docker.log 2>&1 &
tries=0
until docker info >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 300 ]; then
    cat /var/log/docker.log
    echo "The Docker daemon has not started within 60 seconds." >&2
    exit 1
  fi
  sleep 0.2
done
eval "$@"
END
chmod 755 /usr/local/bin/dockerd-entrypoint.sh

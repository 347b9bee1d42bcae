# Debian's own sources, as its package manager shows them, so that a build can install more. Its example is whole as it is.
cp /usr/share/doc/apt/examples/debian.sources /etc/apt/sources.list.d/debian.sources

# A user for `run-as`, as AWS's images have it.
useradd --create-home --shell /bin/bash codebuild-user

# As in AWS's images: a host that does not answer fails a build soon, and not at its time limit.
mkdir -p -m 700 /root/.ssh
printf 'Host *\n  ConnectTimeout 10\n  ConnectionAttempts 10\n' >/root/.ssh/config
chmod 600 /root/.ssh/config

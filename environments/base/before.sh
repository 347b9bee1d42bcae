# What nobody reads in a build is left out, now and when a build installs packages.
cat >/etc/dpkg/dpkg.cfg.d/kiln <<'END'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-include=/usr/share/doc/apt/examples/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/bug/*
path-exclude=/usr/bin/*lto-dump*
END
# Install scripts of some packages make links in there.
mkdir -p /usr/share/man/man1 /usr/share/man/man7

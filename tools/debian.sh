# SPDX-License-Identifier: MIT
# debian.sh - gets Debian packages by name into a folder, without touching the system.
#
# Sourced by the other tools.  A private apt root holds one architecture of one
# suite; the mirror is the one that this machine's apt uses, and only `main` of the
# suite itself is read, since a mirror may be a snapshot without its side suites.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# The URI of Debian's archive in this machine's apt configuration.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(LABEL) $(COMPONENT)' 'Created-By: Packages' |
        awk '$2 == "Debian" && $3 == "main" { print $1; exit }'
}

# apt_root DIR ARCH SUITE: make a private apt root and read the suite's package list.
apt_root() {
    local root=$1 arch=$2 suite=$3 mirror
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || die "no Debian mirror in this machine's apt configuration"
    mkdir -p "$root"/{etc/apt.conf.d,etc/preferences.d,etc/sources.list.d,state/lists/partial,cache/archives/partial}
    : >"$root/state/status"
    echo "deb [arch=$arch] $mirror $suite main" >"$root/etc/sources.list"
    cat >"$root/apt.conf" <<EOF
Dir "/";
Dir::Etc "$root/etc";
Dir::Etc::SourceList "$root/etc/sources.list";
Dir::Etc::SourceParts "$root/etc/sources.list.d";
Dir::Etc::Preferences "$root/etc/preferences";
Dir::Etc::PreferencesParts "$root/etc/preferences.d";
Dir::Etc::TrustedParts "/etc/apt/trusted.gpg.d";
Dir::State "$root/state";
Dir::State::status "$root/state/status";
Dir::Cache "$root/cache";
Dir::Log "$root";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Debug::NoLocking "true";
Dir::Etc::Trusted "$root/etc/trusted.gpg";
EOF
    # A keyring package keeps its keys here; older ones only in trusted.gpg.d.
    [ ! -f /usr/share/keyrings/debian-archive-keyring.gpg ] ||
        sed -i "s|\[arch=$arch\]|[arch=$arch signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]|" \
            "$root/etc/sources.list"
    APT_CONFIG="$root/apt.conf" apt-get -qq update >"$root/update.log" 2>&1 ||
        { cat "$root/update.log" >&2; die "cannot read the package list of $suite for $arch"; }
}

# apt_fetch ROOT DIR PACKAGE...: download just these packages and unpack them in DIR.
apt_fetch() {
    local root=$1 dir=$2
    shift 2
    mkdir -p "$dir" "$root/debs"
    (cd "$root/debs" && APT_CONFIG="$root/apt.conf" apt-get -qq download "$@") >&2 ||
        die "cannot download $*"
    apt_unpack "$root/debs" "$dir"
}

# apt_fetch_closure ROOT DIR PACKAGE...: the same with all that they depend on.
apt_fetch_closure() {
    local root=$1 dir=$2
    shift 2
    mkdir -p "$dir"
    APT_CONFIG="$root/apt.conf" apt-get -qq -y --download-only install "$@" \
        >"$root/fetch.log" 2>&1 || { cat "$root/fetch.log" >&2; die "cannot download $*"; }
    apt_unpack "$root/cache/archives" "$dir"
}

apt_unpack() {
    local deb
    for deb in "$1"/*.deb; do
        dpkg-deb -x "$deb" "$2"
    done
}

# The package that a metapackage of the kernel depends on.
apt_kernel_package() {
    APT_CONFIG="$1/apt.conf" apt-cache depends --important linux-image-riscv64 |
        sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head -n 1
}

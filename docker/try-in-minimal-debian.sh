#!/bin/sh
# Prove the set-up on a bare machine without a container engine: a minimal Debian root folder (debootstrap) with git,
# make and Python, a clone of this repository's HEAD in it, and one command run in the clone. Needs root.
#
#   docker/try-in-minimal-debian.sh [ROOT_FOLDER] [COMMAND…]        default: /var/tmp/fer-debian  make demo
#
# MIRROR chooses the Debian mirror, SUITE the release. pip's and TLS settings of the caller are handed on.
set -eu
root=${1:-/var/tmp/fer-debian}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- make demo
here=$(cd "$(dirname "$0")/.." && pwd)

if [ ! -x "$root/usr/bin/git" ]; then
    debootstrap --variant=minbase --include=python3,python3-venv,make,git,ca-certificates \
        "${SUITE:-bookworm}" "$root" ${MIRROR:+"$MIRROR"}
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
[ -f /etc/pip.conf ] && cp /etc/pip.conf "$root/etc/pip.conf"

rm -rf "$root/root/fer-rgbd"
git clone --quiet --no-hardlinks "$here" "$root/root/fer-rgbd"

unmount() { umount "$root/proc" "$root/dev/pts" "$root/dev/shm" "$root/dev" 2>/dev/null || true; }
trap unmount EXIT
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts devpts "$root/dev/pts"

# a folder of local wheels does not exist in there
pass=$(env | grep -v '^PIP_FIND_LINKS' | grep -E '^(PIP_|SSL_CERT|REQUESTS_CA|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy)' || true)
# shellcheck disable=SC2086
env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 $pass \
    chroot "$root" sh -c 'cd /root/fer-rgbd && "$@"' sh "$@"

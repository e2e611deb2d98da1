#!/bin/sh
# Build an image of this folder and use it, without Docker and without a registry of images: Debian's buildah runs the
# Dockerfile as it stands (packages, pins, user) on a base made by debootstrap. Needs root, debootstrap and buildah.
#
#   docker/try-images.sh prep        build fer-prep, then sample data → prepared folders → HDF5 → check, as a plain user
#   docker/try-images.sh train       build fer-train, then doctor, and two folds on the dataset that `prep` left
#
# WORK (default /var/tmp/fer-images) keeps the base and the workspace between calls. The base has Debian's Python 3.11
# instead of the official image's; everything else is what the Dockerfile says.
set -eu
image=${1:?"prep or train"}
here=$(cd "$(dirname "$0")/.." && pwd)
work=${WORK:-/var/tmp/fer-images}
base=localhost/fer-debian-python
mkdir -p "$work/workspace"

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    [ -f "$work/root/etc/debian_version" ] || debootstrap --variant=minbase \
        --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$work/root" ${MIRROR:+"$MIRROR"}
    # as in the official image: `python` and `pip` install where they are told to
    rm -f "$work"/root/usr/lib/python3*/EXTERNALLY-MANAGED
    ln -sf /usr/bin/python3 "$work/root/usr/local/bin/python"
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$work/root" /
    buildah commit --quiet --rm "$container" "$base"
fi

# what the caller's pip and TLS are told, the build is told too; nothing of it stays in the image
set -- --volume /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro
[ -f /etc/pip.conf ] && set -- "$@" --volume /etc/pip.conf:/etc/pip.conf:ro
buildah bud --quiet --isolation chroot --pull-never --build-arg "PYTHON_IMAGE=$base" "$@" \
    --tag "fer-$image" --file "$here/docker/$image.Dockerfile" "$here"
echo "built fer-$image: $(buildah images --format '{{.Size}}' "localhost/fer-$image")"

container=$(buildah from --pull-never "localhost/fer-$image")
trap 'buildah rm "$container" >/dev/null' EXIT
chown 1000 "$work/workspace"
run() {
    printf '\n$ %s\n' "$*"
    buildah run --isolation chroot --volume "$work/workspace:/workspace" "$container" -- "$@"
}
run sh -c 'id -u; touch /usr/probe 2>/dev/null && exit 1 || echo "not root, /usr is read-only"'
if [ "$image" = prep ]; then
    run fer-prep doctor
    run fer-prep sample-data --out data/raw --subjects 2
    for command in render-bu3dfe render-bosphorus align merge; do run fer-prep $command; done
    run fer-prep check global.h5
else
    run fer-train presets
    run fer-train kfold --folds 2 --preset demo --epochs 1 --out "runs/try-$(date +%s)"
fi

#!/bin/sh
# Every step with bare commands in a workspace folder, as a user types them. Usage: demo.sh [FOLDER]
set -eu
folder=${1:-demo}
mkdir -p "$folder"
cd "$folder"

step() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

step fer-prep sample-data --out data/raw
step fer-prep render-bu3dfe
step fer-prep render-bosphorus
step fer-prep align
step fer-prep merge --out global.h5
step fer-prep check global.h5
step fer-prep stats global.h5
step fer-train kfold --folds 5 --preset demo

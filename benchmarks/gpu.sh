#!/bin/sh
# What training costs on this machine's GPU, in ten minutes at most and without a network: one table.
#
#     sh benchmarks/gpu.sh WHEELS [WORK] [options of benchmarks/gpu.py]
#
# Needs Python 3.11 or 3.12, PyTorch, torchvision and NumPy; the rest is in WHEELS (gpu_wheels.sh). WORK, by default
# build/gpu, gets 4 GB of random pixels. PYTHON names the interpreter. To try it on a CPU:
#
#     sh benchmarks/gpu.sh WHEELS build/try --preset demo --samples 175 --size 64 --epochs 1 --seconds 0.2
set -eu
wheels=$(cd "${1:?which folder has the wheels of gpu_wheels.sh?}" && pwd)
work=${2:-build/gpu}
[ $# -lt 2 ] && shift 1 || shift 2
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
tag=$($python -c 'import sys; print("cp%d%d" % sys.version_info[:2])')

rm -rf "$work"
mkdir -p "$work/site"
for wheel in "$wheels"/*.whl; do
    case $wheel in
    *-"$tag"-* | *-abi3-* | *-none-any.whl) $python -m zipfile -e "$wheel" "$work/site" ;;
    esac
done
PYTHONPATH="$PWD:$work/site" exec $python -m benchmarks.gpu --work "$work" "$@"

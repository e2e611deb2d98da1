#!/bin/sh
# The benchmarks one after the other on sample data, at sizes of minutes. Usage: bench.sh FOLDER
set -eu
folder=$1
export PYTHONPATH="$PWD" OMP_NUM_THREADS=1 LP_NUM_THREADS=1
[ -d "$folder/raw" ] || fer-prep sample-data --out "$folder/raw"
python -m benchmarks.render --root "$folder/raw" --rounds 3
python -m benchmarks.align --root "$folder/raw/CalD3r" --rounds 3 --samples 60
[ -d "$folder/prepared" ] || fer-prep render-bu3dfe --root "$folder/raw/BU3DFE" --out "$folder/prepared"
python -m benchmarks.merge "$folder/prepared" --work "$folder/work" --samples 1000 --reads 500

#!/bin/sh
# Collect the wheels that gpu.sh needs beside PyTorch, torchvision and NumPy, for Linux on x86-64. Where there is a network:
#
#     sh benchmarks/gpu_wheels.sh WHEELS
set -eu
folder=${1:?which folder shall get the wheels?}
cd "$(dirname "$0")/.."
names="h5py blake3 typer rich click shellingham annotated-doc markdown-it-py mdurl pygments
    pydantic pydantic_core annotated-types typing-inspection typing_extensions
    timm safetensors huggingface_hub httpx2 httpcore2 h11 anyio idna certifi truststore filelock fsspec
    packaging pyyaml tqdm tomli_w"
platforms="--platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64"
wanted=""
for name in $names; do
    # the version that this project is tested with
    wanted="$wanted $(grep -i "^$(echo "$name" | tr _ -)==\|^$(echo "$name" | tr - _)==" constraints.txt)"
done
for version in 3.11 3.12; do
    ${PYTHON:-python3} -m pip download --quiet --dest "$folder" --no-deps --only-binary=:all: \
        --python-version "$version" --implementation cp $platforms $wanted
done
du -sh "$folder"

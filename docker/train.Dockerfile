# fer-train in a container; PyPI's torch brings its own CUDA libraries, the host brings the driver.
#   docker build -f docker/train.Dockerfile -t fer-train .
#   docker run --rm --gpus all --ipc=host --user "$(id -u):$(id -g)" -v "$PWD:/workspace" fer-train kfold --folds 5
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY . .
# the builder is pinned too, which an isolated build would not be
RUN pip install --no-cache-dir -c constraints.txt hatchling \
    && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM ${PYTHON_IMAGE}
COPY constraints.txt /tmp/constraints.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir -c /tmp/constraints.txt "$(echo /wheels/fer_rgbd-*.whl)[train]"
RUN useradd --create-home --uid 1000 fer && mkdir /workspace && chown fer /workspace
USER 1000
# whatever --user is given can write its caches
ENV HOME=/tmp NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /workspace
ENTRYPOINT ["fer-train"]
CMD ["--help"]

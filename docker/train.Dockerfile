# fer-train in a container; PyPI's torch brings its own CUDA libraries, the host brings the driver.
#   docker build -f docker/train.Dockerfile -t fer-train .
#   docker run --rm --gpus all -v "$PWD:/workspace" fer-train kfold --folds 5
FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm
COPY constraints.txt /tmp/constraints.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir -c /tmp/constraints.txt "$(echo /wheels/fer_rgbd-*.whl)[train]"
RUN useradd --create-home --uid 1000 fer && mkdir /workspace && chown fer /workspace
USER fer
WORKDIR /workspace
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENTRYPOINT ["fer-train"]
CMD ["--help"]

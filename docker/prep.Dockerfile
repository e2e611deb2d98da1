# fer-prep in a container. Build from the repository's root, use in a workspace that holds data/raw:
#   docker build -f docker/prep.Dockerfile -t fer-prep .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/workspace" fer-prep render-bu3dfe
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY . .
# the builder is pinned too, which an isolated build would not be
RUN pip install --no-cache-dir -c constraints.txt hatchling \
    && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM ${PYTHON_IMAGE}
# The list of fer_prep/program/system_libraries.py; a test compares the two. Debian deletes a version when it mends it, so
# these are pinned by the release (bookworm) alone.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libgl1 libegl1 libglib2.0-0 libusb-1.0-0 libxrender1 libegl-mesa0 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/constraints.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir -c /tmp/constraints.txt "$(echo /wheels/fer_rgbd-*.whl)[prep]"
RUN useradd --create-home --uid 1000 fer && mkdir /workspace && chown fer /workspace
USER 1000
# whatever --user is given can write its caches
ENV HOME=/tmp
WORKDIR /workspace
ENTRYPOINT ["fer-prep"]
CMD ["--help"]

# fer-prep in a container. Build from the repository's root:
#   docker build -f docker/prep.Dockerfile -t fer-prep .
#   docker run --rm -v "$PWD/data:/workspace/data" fer-prep render-bu3dfe
FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm
# the list of fer_prep/system_libraries.py; a test compares the two
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libgl1 libegl1 libglib2.0-0 libusb-1.0-0 libxrender1 libegl-mesa0 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/constraints.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir -c /tmp/constraints.txt "$(echo /wheels/fer_rgbd-*.whl)[prep]"
RUN useradd --create-home --uid 1000 fer && mkdir /workspace && chown fer /workspace
USER fer
WORKDIR /workspace
ENTRYPOINT ["fer-prep"]
CMD ["--help"]

# Two images: `train` contains everything; `serve` contains the API without the training libraries. Build both: make image
ARG BASE_IMAGE=python:3.11-slim-bookworm
# IMAGE_USER=root is for SageMaker only, which requires it.

FROM ${BASE_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 PATH=/opt/venv/bin:$PATH
# A fixed user id, so that cluster policies and volume ownership can refer to it.
RUN useradd --uid 1000 --create-home --shell /bin/bash pdm \
    && install --directory --owner=pdm --group=pdm /opt/pdm /var/lib/mlflow /var/lib/store /var/lib/runs /var/lib/bridge /var/lib/cmms

FROM base AS installer
# Tests inside packages are large and unused.
RUN printf '%s\n' '#!/bin/sh' 'set -e' 'python3 -m venv --without-pip /opt/venv' \
    'pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --requirement "$1"' \
    'find /opt/venv/lib -type d -name tests -prune -exec rm -rf {} +' > /usr/local/bin/install-packages \
    && chmod +x /usr/local/bin/install-packages

# Packages are installed before the code is copied, so this layer is rebuilt only when the pinned versions change.
FROM installer AS train-packages
COPY requirements.txt .
RUN install-packages requirements.txt

FROM installer AS serve-packages
COPY requirements-serve.txt .
# Removes 60 MB of Arrow, ONNX runtime and SQLAlchemy parts for remote tables, compilers, converters and tests, and copies of a
# library under other names, which serving never loads.
RUN install-packages requirements-serve.txt && cd /opt/venv/lib/python3*/site-packages \
    && rm -r pyarrow/libarrow_flight.* pyarrow/libarrow_python_flight.* pyarrow/_flight.* pyarrow/include pyarrow/src \
       pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.* pyarrow/libarrow_python_parquet_encryption.so \
       pyarrow/libarrow_python_parquet_encryption.so.*.* pyarrow/_pyarrow_cpp_tests.* pyarrow/*.pxi sqlalchemy/testing alembic/testing \
       onnxruntime/quantization onnxruntime/tools onnxruntime/transformers

FROM base AS train
# LightGBM needs libgomp1 for threads.
RUN apt-get update --quiet --quiet && apt-get install --yes --quiet --quiet --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=train-packages /opt/venv /opt/venv
COPY --chown=pdm:pdm . /opt/pdm
COPY docker/serve docker/healthy docker/train docker/predictive-maintenance docker/dask-scheduler docker/dask-worker /usr/local/bin/
ARG IMAGE_USER=pdm
USER ${IMAGE_USER}
# GIT_COMMIT stands before a RUN: older podman and buildah would otherwise reuse cached labels with another commit.
ARG GIT_COMMIT=unknown
RUN python -m compileall -q /opt/pdm
# Not /opt/pdm: on AWS Batch, Metaflow unpacks the run's code in the working directory, and that code must be imported.
WORKDIR /home/pdm
EXPOSE 8080
# On AWS Batch, Metaflow would install packages before a step. The image already has them, and no pip.
ENV PDM_GIT_COMMIT=${GIT_COMMIT} METAFLOW_SKIP_INSTALL_DEPENDENCIES=1
LABEL org.opencontainers.image.title="predictive-maintenance train" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision=${GIT_COMMIT}

FROM base AS serve
COPY --from=serve-packages /opt/venv /opt/venv
COPY --chown=pdm:pdm app /opt/pdm/app
COPY --chown=pdm:pdm predictive_maintenance /opt/pdm/predictive_maintenance
COPY --chown=pdm:pdm params.yaml /opt/pdm/
COPY docker/serve docker/healthy /usr/local/bin/
ARG IMAGE_USER=pdm
USER ${IMAGE_USER}
# GIT_COMMIT stands before a RUN: older podman and buildah would otherwise reuse cached labels with another commit.
ARG GIT_COMMIT=unknown
RUN python -m compileall -q /opt/pdm
WORKDIR /opt/pdm
# The service writes only to /tmp, so the root file system may be read-only.
ENV PDM_MODEL_CACHE=/tmp/predictive-maintenance
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["healthy"]
CMD ["serve"]
LABEL org.opencontainers.image.title="predictive-maintenance serve" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision=${GIT_COMMIT}

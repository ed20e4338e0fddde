# --- the build: a virtual environment with the pinned dependencies, then Frontdesk itself ---
FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/frontdesk
WORKDIR /src

# The dependencies change less often than the code: they are a layer of their own.
# pymessenger comes as source: the pinned setuptools builds it.
COPY requirements-build.lock requirements.lock ./
RUN /opt/frontdesk/bin/pip install --require-hashes --requirement requirements-build.lock \
    && /opt/frontdesk/bin/pip install --require-hashes --no-build-isolation --requirement requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY channels ./channels
COPY gateway ./gateway
RUN /opt/frontdesk/bin/pip install --no-deps --no-build-isolation .

# --- what runs ---
FROM python:3.11-slim-bookworm

# The model's SDK trusts the system's certificates, not certifi's (httpx2 source, truststore).
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*

RUN groupadd --gid 10001 frontdesk \
    && useradd --uid 10001 --gid frontdesk --home-dir /var/lib/frontdesk --no-create-home --shell /usr/sbin/nologin \
        frontdesk \
    && install --directory --owner frontdesk --group frontdesk --mode 0750 /var/lib/frontdesk

COPY --from=build /opt/frontdesk /opt/frontdesk
ENV PATH=/opt/frontdesk/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# Relative paths of the configuration, the SQLite file and ./data, start here.
WORKDIR /var/lib/frontdesk
VOLUME /var/lib/frontdesk
USER frontdesk

EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]

ENTRYPOINT ["frontdesk"]
CMD ["serve", "--config", "/etc/frontdesk/config.yaml"]

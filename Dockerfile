# syntax=docker/dockerfile:1
# The wheels are built where there is a compiler; what runs has neither it nor pip's cache.
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --require-hashes -r requirements.txt

FROM python:3.12-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 PORT=8000 DATA_DIR=/data LOG_FORMAT=json
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin hontoni \
    && install -d -m 700 -o hontoni -g hontoni /data
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py pyproject.toml ./
COPY hontoni ./hontoni
COPY operations ./operations
COPY cockpit ./cockpit
COPY gateway ./gateway
COPY billing ./billing
COPY accounts ./accounts
COPY ratelimits ./ratelimits
COPY sandbox ./sandbox
COPY templates ./templates
COPY static ./static
COPY locale ./locale
COPY docs ./docs
COPY Procfile ./
COPY deploy/run ./deploy/run
# Compiled once, for the root is read-only when it runs.
RUN python -m compileall -q /app /venv/lib
USER 10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os,urllib.request as u;u.urlopen('http://127.0.0.1:'+os.environ['PORT']+'/healthz',timeout=2)"]
ENTRYPOINT ["/app/deploy/run"]
CMD ["web"]

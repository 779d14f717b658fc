# The hedge service. Two stages: what builds wheels stays behind.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
# What the service imports, and no more: the exchanges' library alone would add 74 MB. A test holds this list to the code.
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt \
    fastapi uvicorn httptools uvloop orjson prometheus-client redis watchfiles purgatory \
    pydantic pyyaml "SQLAlchemy[asyncio]" aiosqlite asyncpg alembic numpy scipy loguru typer rich
COPY alpha_pulse ./alpha_pulse
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps .
# HE_DEPTH_FEED needs the exchanges' library: build with --build-arg EXTRA=ccxt.
ARG EXTRA=""
RUN test -z "$EXTRA" || /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt $EXTRA

FROM python:3.12-slim
# No shell for the user, no home, a fixed id: volumes keep their owner.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin hedge \
 && install -d -o hedge -g hedge /app /app/var
COPY --from=build /opt/venv /opt/venv
COPY config/curve_knots.yaml /app/config/curve_knots.yaml
WORKDIR /app
USER hedge
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Beyond loopback the service does not start without HE_API_TOKENS.
ENV HE_ENV=prod HE_HOST=0.0.0.0 HE_PORT=8000
EXPOSE 8000
VOLUME /app/var
# Asks by the name 127.0.0.1: where HE_ALLOWED_HOSTS is set, it has to name that too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['HE_PORT']}/healthz\", timeout=2)"]
ENTRYPOINT ["alpha-pulse", "serve"]

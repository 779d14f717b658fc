"""The servers that ``benchmarks.service`` asks: the service, or a bare route. Prints the port and serves until it is ended."""

from __future__ import annotations

import socket
import sys
from typing import Final

from fastapi import FastAPI
from loguru import logger

from alpha_pulse.service.app import create_app
from alpha_pulse.service.server import ServiceProcess, server_for
from alpha_pulse.service.settings import load_service_settings
from benchmarks.runs import ROOT

BARE: Final = "bare"
SERVICE: Final = "service"


def bare_app() -> FastAPI:
    """One route that returns a constant."""
    app = FastAPI()

    async def constant() -> dict[str, float]:
        return {"hedge_pct": 0.68}

    app.add_api_route("/constant", constant)
    return app


class _Telling(ServiceProcess):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self.servers[0].sockets[0].getsockname()[1], flush=True)


def main() -> None:
    """Serve in this folder: the log's spool and database go there."""
    logger.remove()
    curves = str(ROOT / "config" / "curve_knots.yaml")
    settings = load_service_settings({"HE_PORT": "0", "HE_CURVES": curves, "HE_RATE_LIMIT_PER_S": "0"})
    app = create_app(settings) if sys.argv[1] == SERVICE else bare_app()
    server_for(app, settings, _Telling).run_to_the_end()


if __name__ == "__main__":
    main()

"""A client of the service: ask how much to hedge, why, and what an inventory risks.

Start the service (``alpha-pulse serve``), then, from the root of the repository: ``python -m examples.service_client``. A service
elsewhere is named by ``--url``, and the token of one that wants tokens stands in ``HEDGE_TOKEN``. It needs httpx (``pip install httpx``).

Three things are worth copying: a time limit on every request, what is done with a 503, and the decision's id that is kept with the order.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Final

import httpx

TIMEOUT_S: Final = 2.0
POSITION: Final = {"asset": "BTC", "size": 2.5, "entry_price": 95_000, "age_minutes": 240}
MARKET: Final = {
    "current_price": 91_500,
    "volatility_1d": 0.045,
    "spot_spread_bps": 2,
    "perp_funding_rate": 0.08,
    "bid_depth_usd": 2_500_000,
    "ask_depth_usd": 2_400_000,
}


class HedgeService:
    """What a trading system asks. Answers are plain data; ``Refused`` says why there is none."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S)

    def ask(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """POST a question. Raises ``Refused`` for a problem document and httpx's errors for a service that does not answer."""
        return self._read(self._client.post(path, json=question))

    def look(self, path: str) -> dict[str, Any]:
        """GET something. Raises as ``ask``."""
        return self._read(self._client.get(path))

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        if answer.is_error:
            raise Refused(answer.status_code, body)
        return body


class Refused(Exception):  # noqa: N818 - what happened, not what went wrong here
    """The service answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        self.status = status
        self.kind: str = document["type"].rpartition(":")[2]
        super().__init__(f"{document['title']}: {document['detail']}")


def hedge_or_hold(service: HedgeService, asset: str, amount_usd: float) -> str:
    """By the latest score if there is one. Without one nothing is made up: the hedge that is on stays as it is."""
    try:
        found = service.ask("/hedge", {"asset": asset, "amount_usd": amount_usd})
    except Refused as refused:
        if refused.kind != "no-score":
            raise
        return f"hold what is on ({refused})"
    return f"hedge {found['hedge_pct']:.1%}, {found['notional_usd']:,.0f} USD"


def main() -> int:
    """Ask everything once, and print it."""
    parser = argparse.ArgumentParser(description="Asks a running service everything once.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    url = parser.parse_args().url
    service = HedgeService(url, os.environ.get("HEDGE_TOKEN", ""))
    try:
        found = service.ask("/hedge", {"asset": "BTC", "amount_usd": 250_000, "override_score": 0.7, "depth_usd": 2_500_000})
        print(f"by my own score: hedge {found['hedge_pct']:.1%}, {found['notional_usd']:,.0f} USD; decision {found['decision_id']}")
        print(f"by the latest score: {hedge_or_hold(service, 'BTC', 250_000)}")
        several = {
            "asset": "ETH",
            "amount_usd": 100_000,
            "signals": {"sentiment": 0.7, "funding": 0.4},
            "weights": {"sentiment": 2, "funding": 1},
        }
        print(f"by two signals: hedge {service.ask('/hedge/multi', several)['hedge_pct']:.1%}")
        opinions = [{"name": "momentum", "value": -0.6, "weight": 0.5}, {"name": "funding", "value": -0.3, "weight": 0.3}]
        print(f"the signals: {service.ask('/signals', {'position_delta_usd': 150_000, 'signals': opinions})['reasoning']}")
        print(f"the assessor: {service.ask('/assess', {'position': POSITION, 'market': MARKET})['summary']}")
        print(f"curves in force: {', '.join(service.look('/curves')['curves'])}; the service is {service.look('/readyz')['status']}")
    except Refused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    except httpx.HTTPError as error:
        print(f"no answer from {url}: {error}; keep the hedge that is on, and alert", file=sys.stderr)
        return 1
    finally:
        service.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

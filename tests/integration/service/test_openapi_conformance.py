"""schemathesis over the whole OpenAPI, against the service as it is served: what it says of itself is what it does.

It asks every operation with its examples, with every boundary of its schema from both sides, with made-up valid and invalid data, and in
sequences that follow ids from answers into further questions. No answer may be a 5xx, every one must be described (status, content type,
headers, body), and what the schema forbids must be refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from alpha_pulse.service.app import create_app
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.service import FixedScores, running_service
from tests.integration.service.conftest import TRADE, TRADE_KEPT, bearer

OPERATIONS: Final = 10
WITH_BODY: Final = ("POST /hedge", "POST /hedge/multi", "POST /signals", "POST /assess")
OPEN: Final = ("GET /healthz",)
# All checks but two: rules between fields (weights for signals that are not there, thresholds out of order) are no part of JSON Schema, so
# that data which it allows may be refused; and no limit is set on the time of an answer.
CHECKS: Final = {"positive_data_acceptance": {"enabled": False}}


@dataclass
class Findings:
    """What a run saw.

    Attributes:
        failures: a line for each failed check, and for each error of the run itself.
        statuses: how many answers there were of each operation and status; those of sequences under "".
    """

    failures: list[str] = field(default_factory=list)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    def take(self, event: Any) -> None:
        """One event of schemathesis's engine."""
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.failures.append(f"{type(event).__name__}: {getattr(event, 'info', None) or event}")
        if not isinstance(event, events.ScenarioFinished):
            return
        recorder = event.recorder
        for interaction in recorder.interactions.values():
            if interaction.response is None:
                self.failures.append(f"no answer: {interaction.request.method} {interaction.request.uri}")
            else:
                self.statuses[event.label or "", interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            case = recorder.cases[case_id].value
            self.failures += [
                f"{check.name}: {check.failure_info.failure}\n    {case.as_curl_command()}"
                for check in checks
                if check.failure_info is not None
            ]


@contextmanager
def served(folder: Any, **variables: str) -> Iterator[str]:
    """A service with its own spool and database, and with scores: without them 503 is the right answer."""
    paths = {"HE_DB_DSN": f"sqlite+aiosqlite:///{folder / 'decisions.db'}", "HE_SPOOL_DIR": str(folder / "spool")}
    generous = {"HE_RATE_LIMIT_PER_S": "0", "HE_REFUSED_PER_MIN": "100000"}  # else it would be limits that are tested
    settings = load_service_settings({"HE_PORT": "0", **paths, **generous, **variables})
    app = create_app(settings, scores=FixedScores(dict.fromkeys(settings.assets, 0.6)))
    with running_service(app, settings) as url:
        yield url


def described(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """The OpenAPI, with the names of the curves in force, which it cannot know: else nearly all of ``/hedge/multi`` would be refused."""
    openapi = httpx.get(f"{url}/openapi.json", trust_env=False).json()
    curves = httpx.get(f"{url}/curves", headers=headers, trust_env=False).json()["curves"]
    signals = openapi["components"]["schemas"]["MultiQuestion"]["properties"]["signals"]
    signals["propertyNames"] = {"enum": sorted(curves)}
    return openapi


def findings(url: str, examples: int, headers: dict[str, str] | None = None, seed: int = 20_260_101, **phases: Any) -> Findings:
    """Run every phase and every check. Without shrinking: a failure is shown as it was found."""
    given = {
        "seed": seed,
        "base-url": url,
        "headers": headers or {},
        "continue-on-failure": True,
        "generation": {"max-examples": examples, "no-shrink": True, "database": "none"},
        "checks": CHECKS,
        "phases": phases,
    }
    schema = schemathesis.openapi.from_dict(described(url, headers or {}), config=SchemathesisConfig.from_dict(given))
    found = Findings()
    for event in from_schema(schema).execute():
        found.take(event)
    return found


def assert_clean(found: Findings) -> None:
    assert found.failures == [], "\n".join(dict.fromkeys(found.failures))
    asked = {name for name, _ in found.statuses if name}
    assert len(asked) == OPERATIONS
    assert [name for name in asked if not found.statuses[name, 200]] == []  # a run that only sees refusals has tested nothing


def test_the_service_does_what_its_openapi_says(tmp_path):
    with served(tmp_path) as url:
        found = findings(url, 12)
    assert_clean(found)
    assert [name for name in WITH_BODY if not found.statuses[name, 422]] == []


@pytest.mark.soak
def test_with_tokens_it_does_so_too_and_refuses_everything_else(tmp_path):
    with served(tmp_path, HE_API_TOKENS=TRADE_KEPT.entry) as url:
        found = findings(url, 10, bearer(TRADE), coverage={"enabled": False})  # boundaries are the other test's
    assert_clean(found)
    asked = {name for name, _ in found.statuses if name}
    assert [name for name in asked if bool(found.statuses[name, 401]) is (name in OPEN)] == []  # the check ignored_auth asks without


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_a_long_run_finds_nothing_either(tmp_path, seed):
    with served(tmp_path) as url:
        assert_clean(findings(url, 300, seed=seed))

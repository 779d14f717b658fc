"""Every route over a real socket: what it answers, and what it does with what is wrong."""

import asyncio
import json

import pytest
from pydantic import TypeAdapter

from alpha_pulse import __version__
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.runtime.database import open_database
from alpha_pulse.service import answers
from alpha_pulse.service.log.codec import encode
from alpha_pulse.service.problems import ProblemDocument
from alpha_pulse.testing.decision_log import MemoryDecisionLog
from alpha_pulse.testing.service import FixedScores
from tests.integration.service.conftest import HEDGE, TOKENS, serving

ANSWERS = {
    "/hedge": answers.HedgeAnswer,
    "/hedge/multi": answers.MultiAnswer,
    "/signals": answers.SignalsAnswer,
    "/assess": answers.AssessAnswer,
}
LOOKS = {
    "/decisions": answers.DecisionsAnswer,
    "/curves": answers.CurvesAnswer,
    "/healthz": answers.LiveAnswer,
    "/readyz": answers.ReadyAnswer,
}


def example(served, path):
    described = served.client.get("/openapi.json").json()
    name = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return described["components"]["schemas"][name]["example"]


def problem_in(response):
    assert response.headers["content-type"] == "application/problem+json"
    found = ProblemDocument.model_validate_json(response.content, strict=True)
    assert found.status == response.status_code
    assert "Traceback" not in response.text
    return found


def test_a_hedge_is_answered_with_exactly_these_fields(served):
    response = served.client.post("/hedge", json=HEDGE)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {
        "hedge_pct", "notional_usd", "confidence", "depth_source", "version", "ts_ms", "decision_id",
    }  # fmt: skip
    assert body["version"] == __version__
    assert body["notional_usd"] == body["hedge_pct"] * HEDGE["amount_usd"]
    assert response.headers["x-decision-id"] == body["decision_id"]


@pytest.mark.parametrize("path", ANSWERS)
def test_the_example_of_each_question_is_answered_as_openapi_says(served, path):
    response = served.client.post(path, json=example(served, path))
    assert response.status_code == 200
    model = ANSWERS[path]
    found = TypeAdapter(model).validate_json(response.content)
    assert set(response.json()) == set(model.model_fields), found


@pytest.mark.parametrize("path", LOOKS)
def test_what_is_looked_at_is_as_openapi_says(served, path):
    served.client.post("/hedge", json=HEDGE)
    response = served.client.get(path)
    assert response.status_code == 200
    assert set(response.json()) == set(LOOKS[path].model_validate_json(response.content).model_fields_set)


def test_every_route_of_openapi_has_an_example_or_takes_no_body(served):
    described = served.client.get("/openapi.json").json()
    asked = {path for path, methods in described["paths"].items() if "post" in methods}
    assert asked == set(ANSWERS)
    assert all(example(served, path) for path in asked)
    answered = [
        described["components"]["schemas"][
            operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        ]
        for path, methods in described["paths"].items()
        for operation in methods.values()
        if path != "/metrics"
    ]
    assert all("example" in schema or "properties" in schema for schema in answered)


def test_each_decision_is_kept_before_it_is_answered_with_what_led_to_it(served):
    body = served.client.post("/hedge", json=HEDGE | {"override_score": None}).json()
    kept = served.log.decisions[-1]
    assert (kept.decision_id, kept.kind, kept.asset, kept.client) == (body["decision_id"], "hedge", "BTC", "")
    assert kept.response == body
    assert kept.request == {"asset": "BTC", "amount_usd": 250_000.0, "depth_usd": 2_500_000.0}
    assert kept.contributions["score"] == {"value": 0.7, "source": "redis", "ts_ms": 1}
    assert kept.curve_hash == served.client.get("/curves").json()["hash"]
    json.dumps([kept.request, kept.response, kept.contributions])


def test_what_cannot_be_kept_is_not_answered(served):
    served.log.broken = "the disk is full"
    found = problem_in(served.client.post("/hedge", json=HEDGE))
    assert (found.status, found.type) == (503, "urn:alpha-pulse:problem:not-kept")
    assert "disk" not in found.detail
    ready = served.client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["decision_log"]["status"]) == (503, "down")
    served.log.broken = ""
    assert served.client.post("/hedge", json=HEDGE).status_code == 200
    assert served.client.get("/readyz").status_code == 200


def test_decisions_are_found_and_paged_newest_first(served):
    ids = [served.client.post("/hedge", json=HEDGE).json()["decision_id"] for _ in range(5)]
    served.client.post("/assess", json=example(served, "/assess"))
    page = served.client.get("/decisions", params={"kind": "hedge", "limit": 3}).json()
    assert [each["decision_id"] for each in page["decisions"]] == ids[:1:-1]
    rest = served.client.get("/decisions", params={"kind": "hedge", "limit": 3, "before": page["next_before"]}).json()
    assert [each["decision_id"] for each in rest["decisions"]] == ids[1::-1]
    assert rest["next_before"] is None
    assert served.client.get("/decisions", params={"asset": "ETH"}).json()["decisions"] == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/hedge", '{"asset":"BTC","amount_usd":1,"override_score":0.1,"amount_usd":2}', "amount_usd"),
        ("/hedge", '{"asset":"BTC","amount_usd":1,"override_score":0.1,"amount\\u005fusd":2}', "amount_usd"),
        ("/hedge/multi", '{"asset":"BTC","amount_usd":1,"signals":{"sentiment":0.1, "sentiment" :0.9}}', "sentiment"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(served, path, body, field):
    found = problem_in(served.client.post(path, content=body, headers={"content-type": "application/json"}))
    assert (found.status, [each.field for each in found.errors]) == (422, [field])
    assert served.log.decisions == []


def test_the_same_key_in_two_objects_is_no_key_twice(served):
    body = HEDGE | {"signals": {"sentiment": 0.1}, "weights": {"sentiment": 1.0}}
    del body["override_score"]
    assert served.client.post("/hedge/multi", json=body).status_code == 200


def test_thousands_of_unknown_keys_are_counted_not_listed(served):
    found = problem_in(served.client.post("/hedge", json=HEDGE | {f"k{number}": 1 for number in range(4000)}))
    assert (found.status, found.detail) == (422, "4000 keys or values of it are unknown or wrong")
    few = problem_in(served.client.post("/hedge", json=HEDGE | {f"k{number}": 1 for number in range(30)}))
    assert (len(few.errors), few.errors[0].field) == (20, "k0")


@pytest.mark.parametrize("path", ["/decisions", f"/decisions/{'0' * 12}-{'0' * 6}-{'0' * 8}"])
@pytest.mark.parametrize("error", [Transient("away"), Fatal("no such table"), ConfigError("there is no such database")])
def test_a_log_that_cannot_be_read_is_503_whatever_keeps_it_from_that(serve, path, error):
    class Refusing(MemoryDecisionLog):
        def _look(self):
            raise error

    found = problem_in(serve(log=Refusing()).client.get(path))
    assert (found.status, found.type) == (503, "urn:alpha-pulse:problem:unavailable")


def test_a_page_is_the_kept_decisions_as_they_are(served):
    served.client.post("/hedge", json=HEDGE)
    kept = encode(served.log.decisions[-1]).decode()
    assert served.client.get("/decisions").text == f'{{"decisions":[{kept}],"next_before":null}}'


def test_one_decision_is_found_with_its_contributions(served):
    for path in ANSWERS:
        decision_id = served.client.post(path, json=example(served, path)).headers["x-decision-id"]
        found = served.client.get(f"/decisions/{decision_id}")
        assert answers.DecisionAnswer.model_validate_json(found.content).contributions


@pytest.mark.parametrize("name", ["nope", "..", "../../etc/passwd", "%2e%2e%2fetc%2fpasswd", "' OR 1=1 --", "<script>", "x" * 4000])
def test_an_id_that_is_none_is_404(served, name):
    problem_in(served.client.get(f"/decisions/{name}"))
    assert served.client.get(f"/decisions/{name}").status_code == 404


def test_while_the_database_is_away_lookups_wait_and_decisions_go_on(served):
    served.log.away = "the server at db:5432 is away"
    found = problem_in(served.client.get("/decisions"))
    assert (found.status, "5432" in found.detail) == (503, False)
    assert served.client.post("/hedge", json=HEDGE).status_code == 200
    ready = served.client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert served.metric('alpha_pulse_breaker_state{state="opened"}') == 1.0


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/hedge", HEDGE | {"amount_usd": 0}, "amount_usd"),
        ("/hedge", HEDGE | {"asset": "DOGE"}, "asset"),
        ("/hedge", {"amount_usd": 1}, "asset"),
        ("/hedge", HEDGE | {"leverage": 125}, "leverage"),
        ("/hedge/multi", {"asset": "BTC", "amount_usd": 1, "signals": {"sentiment": 2}}, "signals.sentiment"),
        ("/signals", {"position_delta_usd": 1, "signals": [{"name": "x", "weight": 1, "value": "up"}]}, "signals.0.value"),
        ("/assess", {"position": {}, "market": {}}, "position.asset"),
    ],
)
def test_a_wrong_field_is_named(served, path, body, field):
    found = problem_in(served.client.post(path, json=body))
    assert found.status == 422
    assert field in [error.field for error in found.errors]


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=x", "limit"), ("since_ms=-1", "since_ms"), ("kind=all", "kind"), ("before=x", "before")],
)
def test_a_wrong_parameter_is_named(served, query, field):
    found = problem_in(served.client.get(f"/decisions?{query}"))
    assert (found.status, found.errors[0].field) == (422, field)


def test_what_is_not_there_is_404_and_other_methods_are_405(served):
    assert problem_in(served.client.get("/nope")).status == 404
    assert problem_in(served.client.post("/nope", json={})).status == 404
    wrong = served.client.get("/hedge")
    assert problem_in(wrong).status == 405
    assert wrong.headers["allow"] == "POST"
    assert problem_in(served.client.request("TRACE", "/curves")).status == 405
    assert problem_in(served.client.get("/decisions/")).status == 404


def test_a_failure_inside_is_a_problem_without_its_cause(serve):
    class Breaking:
        def depth_usd(self, asset):
            raise RuntimeError("password=hunter2")

    served = serve(depths=Breaking())
    found = problem_in(served.client.post("/hedge", json={"asset": "BTC", "amount_usd": 1.0}))
    assert (found.status, "hunter2" in found.detail) == (500, False)
    failed = served.client.post("/hedge", json={"asset": "BTC", "amount_usd": 1.0})
    assert failed.headers["x-content-type-options"] == "nosniff"
    assert served.client.get("/healthz").status_code == 200


def test_openapi_has_an_example_of_every_parameter_and_of_every_answer_that_fits_it(served):
    described = served.client.get("/openapi.json").json()
    models = {
        **{(path, "post"): model for path, model in ANSWERS.items()},
        **{(path, "get"): model for path, model in LOOKS.items()},
        ("/decisions/{decision_id}", "get"): answers.DecisionAnswer,
    }
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert all(parameter["schema"]["examples"] for parameter in operation.get("parameters", []))
            ((kind, content),) = operation["responses"]["200"]["content"].items()
            if kind == "text/plain":
                assert content["example"].startswith("# HELP alpha_pulse_")
            else:
                shown = described["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]["example"]
                models.pop((path, method)).model_validate_json(json.dumps(shown), strict=True)
    assert models == {}


@pytest.mark.parametrize("question", ["HedgeQuestion", "MultiQuestion", "SignalsQuestion"])
def test_openapi_names_the_configured_assets(serve, question):
    described = serve({"HE_ASSETS": "BTC,SOL"}, scores=FixedScores({})).client.get("/openapi.json").json()
    asset = described["components"]["schemas"][question]["properties"]["asset"]
    assert asset.get("anyOf", [asset])[0]["enum"] == ["BTC", "SOL"]


def test_the_documentation_needs_nothing_from_elsewhere(served):
    page = served.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in page.text
    assert "http://" not in page.text.replace("http://127.0.0.1:8000", "")
    assert "https://" not in page.text
    for path in [*ANSWERS, *LOOKS, "/metrics", "/decisions/{decision_id}"]:
        assert path in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_metrics_say_what_was_asked(serve):
    served = serve()
    for _ in range(3):
        served.client.post("/hedge", json=HEDGE)
    served.client.get("/made/up/by/a/client")
    text = served.client.get("/metrics").text
    assert 'alpha_pulse_http_request_seconds_count{method="POST",route="/hedge",status="200"} 3.0' in text
    assert 'alpha_pulse_computation_seconds_count{route="hedge"} 3.0' in text
    assert 'alpha_pulse_breaker_state{state="closed"} 1.0' in text
    assert "alpha_pulse_spooled_decisions 0.0" in text
    assert 'alpha_pulse_score_age_seconds{asset="BTC"} 0.0' in text
    assert 'alpha_pulse_curve_reloads_total{outcome="bad"} 0.0' in text
    assert "alpha_pulse_loop_lag_seconds" in text
    assert "made/up" not in text


def test_the_bots_are_shown_beside_the_service(serve, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'bots.db'}"

    async def make() -> None:
        engine = await open_database(url)
        await engine.dispose()

    asyncio.run(make())
    served = serve({"HE_BOTS_DSN": url})
    for _ in range(500):
        if served.metric("alpha_pulse_bots_database_up"):
            break
    assert served.client.get("/readyz").json()["checks"]["bots"]["status"] == "ok"


def test_openapi_says_where_tokens_are_wanted(serve):
    described = serve({"HE_API_TOKENS": TOKENS}).client.get("/openapi.json").json()
    guarded = {path for path, methods in described["paths"].items() for each in methods.values() if each.get("security")}
    assert guarded == set(described["paths"]) - {"/healthz"}
    assert described["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}


def test_openapi_names_the_configured_assets_and_no_error_of_another_kind(served):
    text = served.client.get("/openapi.json").text
    assert '"enum":["BTC","ETH","LTC","XRP"]' in text
    assert "HTTPValidationError" not in text


def test_the_service_closes_what_it_opened():
    with serving() as served:
        served.client.post("/hedge", json=HEDGE)
        assert served.log.closed == 0
    assert served.log.closed == 1

"""What can be checked of the containers without running them: files parse, and what they name exists."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml

from alpha_pulse.hedging.state.queries import BookedPosition, BotStatus
from alpha_pulse.service.bot_metrics import bot_metrics
from alpha_pulse.service.metrics import Metrics, log_metrics, score_metrics, service_metrics
from alpha_pulse.service.ports import LogState
from alpha_pulse.service.settings import ServiceSettings
from tests.unit.docs.pages import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
VARIABLES = {f"HE_{name.upper()}" for name in ServiceSettings.model_fields}
METRIC = re.compile(r"\balpha_pulse_[a-z_]+")


def known_metrics():
    metrics = Metrics()
    status = BotStatus("main", "BTCUSDT", running=True, holder=None, state=None, position=BookedPosition(), events=0, last_event_ms=0)
    shown = [
        *metrics.registry.collect(),
        *log_metrics(LogState("closed", 0, 0, "")),
        *score_metrics({}, source_ok=True),
        *service_metrics(0.0, curves_ok=True),
        *bot_metrics([status], {}, 0),
    ]
    ends = {"histogram": ("", "_count", "_sum", "_bucket"), "counter": ("_total",)}
    return {f"{metric.name}{end}" for metric in shown for end in ends.get(metric.type, ("",))}


def test_every_yaml_file_parses():
    files = list(DEPLOY.rglob("*.yml"))
    assert len(files) == 3
    assert all(yaml.safe_load(file.read_text()) for file in files)


def test_compose_sets_settings_that_exist_and_demands_tokens():
    given = COMPOSE["services"]["hedge"]["environment"]
    assert set(given) <= VARIABLES
    assert given["HE_API_TOKENS"].startswith("${HE_API_TOKENS:?")


def test_compose_publishes_to_this_machine_alone():
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_compose_mounts_is_there():
    volumes = [volume for service in COMPOSE["services"].values() for volume in service.get("volumes", [])]
    here = [volume.partition(":")[0] for volume in volumes if volume.startswith("./")]
    assert here
    assert all((ROOT / path).exists() for path in here)
    assert {volume.partition(":")[0] for volume in volumes if not volume.startswith("./")} == set(COMPOSE["volumes"])


def test_what_compose_asks_of_the_environment_stands_in_the_example():
    wanted = set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text())) | {"METRICS_TOKEN"}
    example = {line.partition("=")[0] for line in (DEPLOY / "example.env").read_text().splitlines() if not line.startswith("#")}
    assert wanted == example


def test_the_dockerfile_sets_settings_that_exist_and_copies_what_is_there():
    text = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"\b(HE_\w+)=", text)) <= VARIABLES
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)", text, re.MULTILINE) for word in line.split()[:-1]]
    assert all((ROOT / path).exists() for path in copied)
    assert re.search(r"^USER hedge$", text, re.MULTILINE)


IMPORTS = """
import sys
import alpha_pulse.cli.main, alpha_pulse.service.server, alpha_pulse.service.redis_scores, alpha_pulse.service.bot_metrics
import alpha_pulse.service.log.decision_log, alpha_pulse.runtime.process, alembic.command, aiosqlite, asyncpg, redis.asyncio, watchfiles
from alpha_pulse.hedging.risk.sizers.spline import build_spline
build_spline()
files = {name.partition(".")[0]: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
print(*sorted(name for name, file in files.items() if "site-packages" in file and not name.startswith(("_", "alpha_pulse"))))
"""


def plain(requirement):
    """A distribution's name as PyPI has it, without extras and versions."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def test_the_image_installs_what_the_service_imports_of_the_projects_requirements_and_no_more():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {plain(each) for each in [*project["dependencies"], *(e for es in project["optional-dependencies"].values() for e in es)]}
    text = (ROOT / "Dockerfile").read_text()
    words = text.partition("constraints.txt \\\n")[2].partition("\nCOPY")[0].replace("\\", " ").replace('"', "").split()
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603 - our own code
    of_module = packages_distributions()
    imported = {plain(name) for module in done.stdout.split() for name in of_module.get(module, [])}
    listed = {plain(word) for word in words}
    assert imported & required - listed == set()
    later = {"rich", "uvloop"}  # the command line's tables, imported when there is one, and what uvicorn takes when it serves
    assert listed - imported == later


@pytest.mark.parametrize("file", [DEPLOY / "grafana" / "dashboards" / "hedge.json", ROOT / "docs" / "reference" / "http-api.md"], ids=str)
def test_every_metric_that_is_named_exists(file):
    named = set(METRIC.findall(file.read_text())) - {"alpha_pulse_bot_"}
    assert named
    assert named - known_metrics() == set()


def test_every_metric_is_documented():
    text = (ROOT / "docs" / "reference" / "http-api.md").read_text()
    plain = {name for name in known_metrics() if name.startswith("alpha_pulse_") and not name.endswith(("_count", "_sum", "_bucket"))}
    assert {name for name in plain if f"`{name}`" not in text} == set()


def test_the_dashboard_asks_the_source_that_is_provisioned():
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "hedge.json").read_text())
    [source] = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel["targets"]} == {source["uid"]}
    assert len({panel["title"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_setting_is_documented_with_its_default():
    text = (ROOT / "docs" / "reference" / "http-api.md").read_text()
    rows = dict(re.findall(r"^\| `(HE_\w+)` \| (\S*?) ?\|", text, re.MULTILINE))
    assert set(rows) == VARIABLES
    for name, field in ServiceSettings.model_fields.items():
        shown = rows[f"HE_{name.upper()}"].strip("`")
        default = field.default
        expected = "" if default in (None, ()) else ",".join(default) if isinstance(default, tuple) else f"{default}"
        assert shown == expected or float(shown) == float(expected), name

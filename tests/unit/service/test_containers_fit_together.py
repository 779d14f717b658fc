"""What one file of the containers says to another: ports, names, secrets, mounts, users; and the parts of it that can be run here."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml

from alpha_pulse.service.app import create_app
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.decision_log import MemoryDecisionLog
from alpha_pulse.testing.service import FixedScores, running_service
from tests.unit.docs.pages import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROMETHEUS = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
GRAFANA = ROOT / "deploy" / "grafana" / "provisioning"
PORT = re.search(r"HE_PORT=(\d+)", DOCKERFILE)[1]


def mounts(service):
    """Where the files of the repository are inside a container."""
    found = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {here.removeprefix("./"): there for here, there, *_ in found if here.startswith("./")}


def test_prometheus_asks_the_service_by_its_name_and_port_with_the_token_that_is_mounted():
    [job] = PROMETHEUS["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"hedge:{PORT}"]}]
    name = job["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert name in COMPOSE["secrets"]
    assert name in SERVICES["prometheus"]["secrets"]
    assert "metrics_path" not in job  # /metrics, as the service has it


def test_prometheus_reads_the_file_that_is_mounted():
    [there] = mounts("prometheus").values()
    assert f"--config.file={there}" in SERVICES["prometheus"]["command"]


def test_grafana_finds_prometheus_and_its_dashboards():
    [source] = yaml.safe_load((GRAFANA / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((GRAFANA / "dashboards" / "hedge.yml").read_text())["providers"]
    assert provider["options"]["path"] == mounts("grafana")["deploy/grafana/dashboards"]


def test_the_panels_of_the_dashboard_do_not_overlap():
    panels = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "hedge.json").read_text())["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len({panel["id"] for panel in panels}) == len(panels)


def test_what_a_service_waits_for_has_a_health_check():
    waited = {name for service in SERVICES.values() if isinstance(service.get("depends_on"), dict) for name in service["depends_on"]}
    assert waited == {"postgres", "redis"}
    assert all("healthcheck" in SERVICES[name] for name in waited)


def test_the_published_port_is_the_one_that_is_served():
    assert SERVICES["hedge"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert f"EXPOSE {PORT}" in DOCKERFILE


def test_what_the_service_writes_is_on_a_volume_and_the_rest_is_read_only():
    assert SERVICES["hedge"]["read_only"] is True
    assert "WORKDIR /app" in DOCKERFILE
    assert f"spool:/app/{load_service_settings({}).spool_dir.parent}" in SERVICES["hedge"]["volumes"]


def test_nobody_is_root_where_the_image_would_not_see_to_it():
    assert SERVICES["redis"]["user"] == "redis"  # its command is a shell, for which the image's entrypoint keeps root
    assert re.search(r"^USER hedge$", DOCKERFILE, re.MULTILINE)


def test_settings_that_may_be_left_out_are_none():
    optional = {name for name, value in SERVICES["hedge"]["environment"].items() if value == f"${{{name}:-}}"}
    assert optional == {"HE_DEPTH_FEED", "HE_BOTS_DSN"}
    assert load_service_settings(dict.fromkeys(optional, "")) == load_service_settings({})


def test_what_the_image_is_built_from_leaves_no_secret_and_no_history_in_it():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    taken = {line[1:] for line in lines if line.startswith("!")}
    lines = re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.MULTILINE)
    copied = {word.removeprefix("./") for line in lines for word in line.split()[:-1]}
    assert taken == copied


def health(port):
    """How the Dockerfile's own check ends, run by this Python."""
    command = json.loads(re.search(r"HEALTHCHECK.*\\\n\s+CMD (\[.*\])", DOCKERFILE)[1])
    assert command[0] == "python"
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run([sys.executable, *command[1:]], env=environ | {"HE_PORT": port}, capture_output=True, check=False).returncode  # noqa: S603 - our own file


def test_the_health_check_says_whether_the_service_answers():
    settings = load_service_settings({"HE_PORT": "0"})
    app = create_app(settings, log=MemoryDecisionLog(), scores=FixedScores())
    with running_service(app, settings) as url:
        port = url.rpartition(":")[2]
        assert health(port) == 0
    assert health(port) != 0


def test_of_the_projects_requirements_a_depth_feed_needs_ccxt_alone_besides_what_the_image_has():
    imports = (
        "import sys, alpha_pulse.cli.main, alpha_pulse.service.server, alpha_pulse.service.depth_feed, alpha_pulse.market.books, ccxt.pro\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", imports], capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603 - our own code
    of_module = packages_distributions()
    imported = {name.lower().replace("_", "-") for module in done.stdout.split() for name in of_module.get(module, [])}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    required = {re.split(r"[^\w.-]", each)[0].lower() for each in project}
    listed = DOCKERFILE.partition("constraints.txt \\\n")[2].partition("\nCOPY")[0].lower()
    assert {name for name in imported & required if name not in listed} == {"ccxt", "aiohttp"}  # aiohttp comes with ccxt


@pytest.mark.parametrize("image", [service["image"] for service in SERVICES.values() if "image" in service])
def test_images_have_a_version(image):
    assert re.fullmatch(r"[\w/.-]+:v?\d[\w.]*", image)

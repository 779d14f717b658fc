"""The reference is complete, and in step with the code."""

import ast
import re

import pytest

from alpha_pulse import errors
from alpha_pulse.backtest.writers import DECISION_COLUMNS, EQUITY_COLUMNS, FILL_COLUMNS, FUNDING_COLUMNS
from alpha_pulse.domain.events import EventKind
from alpha_pulse.hedging.common import interfaces
from docs import build
from tests.unit.docs.pages import ROOT, inline_code, name_of

REFERENCE = ROOT / "docs" / "reference"
ALERTS = ROOT / "docs" / "how-to" / "answer-an-alert.md"
ROW = re.compile(r"^\| (`[^|]+?) \|", re.MULTILINE)


def rows(page, heading):
    """What stands in the first column of the tables under a heading."""
    part = page.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [name for cell in ROW.findall(part) for name in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("page", sorted(build.pages()), ids=name_of)
def test_the_generated_parts_are_in_step_with_the_code(page):
    assert page.read_text(encoding="utf-8") == build.pages()[page], "run: python -m docs.build"


def test_every_kind_of_event_is_described_once():
    text = (REFERENCE / "events.md").read_text(encoding="utf-8").partition("## Tables")[0]
    assert sorted(name for cell in ROW.findall(text) for name in re.findall(r"`([^`]+)`", cell)) == sorted(EventKind)


@pytest.mark.parametrize(
    ("file", "columns"),
    [("fills", FILL_COLUMNS), ("funding", FUNDING_COLUMNS), ("equity", EQUITY_COLUMNS), ("decisions", DECISION_COLUMNS)],
)
def test_every_column_of_a_file_is_described_in_its_order(file, columns):
    assert rows(REFERENCE / "files.md", f"`{file}.csv`") == list(columns)


def test_every_key_of_the_result_is_described_in_its_order():
    source = ast.parse((ROOT / "alpha_pulse" / "backtest" / "result.py").read_text(encoding="utf-8"))
    body = next(node for node in ast.walk(source) if isinstance(node, ast.FunctionDef) and node.name == "_body")
    returned = next(node.value for node in ast.walk(body) if isinstance(node, ast.Return))
    keys = [key.value for key in returned.keys]
    assert rows(REFERENCE / "files.md", "`result.json`") == [*keys, "unavailable"]


def test_every_error_and_every_port_is_named():
    named = set(inline_code(REFERENCE / "python-api.md"))
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    ports = {name for name, value in vars(interfaces).items() if getattr(value, "_is_protocol", False) and name != "Protocol"}
    assert kinds <= named
    assert ports <= named


def told(node):
    """What a line of code tells a person: the text of a warning, an error, an alert or a venue's notice; else None."""
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "text":
        return node.value
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called = ast.unparse(node.func)
    if called == "Alert" or called.endswith("notices.append"):
        return node.args[-1]
    return node.args[0] if called.startswith("logger.") and called.endswith((".warning", ".error")) else None


def fixed_words(text):
    """The longest piece of a text between what is filled in."""
    constants = [str(part.value) for part in ast.walk(text) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    pieces = [piece.strip(" ;:,.()+") for constant in constants for piece in re.split(r"\{[^}]*\}", constant)]
    return max(pieces, key=len, default="")


def warnings_in_the_code():
    """Every warning that can reach a log, by its fixed words."""
    for path in sorted((ROOT / "alpha_pulse").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if not re.search(r"Alert\(|notices\.append|logger\.", source):
            continue
        for node in ast.walk(ast.parse(source)):
            text = told(node)
            words = "" if text is None else fixed_words(text)
            if " " in words:
                yield words


@pytest.mark.parametrize("words", sorted(set(warnings_in_the_code())))
def test_every_warning_says_on_its_page_what_to_do(words):
    page = re.sub(r"\s+", " ", ALERTS.read_text(encoding="utf-8"))
    assert words[:40].rsplit(" ", 1)[0] in page


def test_the_warnings_of_the_code_are_found():
    assert {"Tick skipped", "expired when it triggered: insufficient margin"} <= set(warnings_in_the_code())

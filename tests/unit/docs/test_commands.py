"""What the documentation tells people to type exists: commands, options, make targets, settings."""

import re
import shlex
from itertools import pairwise

import pytest
import typer
import yaml

from alpha_pulse.cli.main import app
from alpha_pulse.hedging.common.problems import dotted_keys
from alpha_pulse.hedging.risk.sizers.spline import build_spline
from alpha_pulse.settings import Settings
from alpha_pulse.settings.curves import load_signal_configs
from tests.unit.docs.pages import PAGES, ROOT, blocks, inline_code, name_of

COMMAND = typer.main.get_command(app)
KEYS = {*dotted_keys(Settings), *Settings.model_fields}
PROGRAMS = (["alpha-pulse"], ["python", "-m", "alpha_pulse"])
CURVES = ROOT / "config" / "curve_knots.yaml"  # hedge curves, no configuration of a bot


def typed_commands():
    """Every shell command that calls alpha-pulse: (page, words after the program's name)."""
    lines = [(block.page, line) for block in blocks("sh") for line in block.text.replace("\\\n", " ").splitlines()]
    lines += [(name_of(page), code) for page in PAGES for code in inline_code(page) if "…" not in code]
    for page, line in lines:
        for command in re.split(r"&&|\|", line):
            words = shlex.split(command, comments=True) if command.count('"') % 2 == 0 and command.count("'") % 2 == 0 else []
            for program in PROGRAMS:
                if words[: len(program)] == program:
                    yield page, words[len(program) :]


def problem_with(words):
    """What is wrong with a command, or nothing."""
    command = COMMAND
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    if words and getattr(command, "commands", None) and not words[0].isupper() and not words[0].startswith("-"):
        return f"there is no command {words[0]}"
    known = {spelling: option for option in command.params for spelling in option.opts} | {"--help": None, "-h": None}
    for word, following in pairwise([*words, ""]):
        if word.startswith("-") and word not in known:
            return f"there is no option {word}"
        if word == "--set" and following.partition("=")[0] not in KEYS | {"KEY"}:
            return f"there is no setting {following}"
    return ""


TYPED = list(typed_commands())


def test_the_documentation_shows_commands_at_all():
    assert len(TYPED) > 20


@pytest.mark.parametrize(("page", "words"), TYPED, ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_every_command_can_be_typed(page, words):
    assert problem_with(words) == "", page


def test_a_command_that_does_not_exist_would_be_found():
    assert problem_with(["hedge"]) == "there is no command hedge"
    assert problem_with(["run", "--fast"]) == "there is no option --fast"
    assert problem_with(["run", "--set", "grid.levels=5"]) == "there is no setting grid.levels=5"


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    texts = [code for page in PAGES for code in inline_code(page)] + [line for block in blocks("sh") for line in block.text.splitlines()]
    named = {target for text in texts if text.startswith("make ") for target in text.split()[1:]}
    assert named
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_is_named_exists(page):
    sections = "|".join(Settings.sections())
    for code in inline_code(page):
        if re.fullmatch(rf"({sections})\.[a-z_]+", code) and not code.endswith((".py", ".db", ".csv")):
            assert code in KEYS, f"there is no setting {code}"
        for variable in re.findall(r"ALPHA_PULSE_([A-Z]+__[A-Z_]+)", code):
            assert variable == "SECTION__KEY" or variable.lower().replace("__", ".") in KEYS, f"there is no setting {variable}"


@pytest.mark.parametrize("file", sorted({*ROOT.glob("config/**/*.yaml")} - {CURVES}), ids=name_of)
def test_the_example_configurations_have_known_keys_only(file):
    Settings.read(yaml.safe_load(file.read_text()))


def test_the_file_of_hedge_curves_holds_curves_that_can_be_built():
    curves = load_signal_configs(CURVES)
    assert curves
    for config in curves.values():
        assert build_spline(config.knots)(config.knots[-1][0]) == config.knots[-1][1]

"""``HE_…`` variables: defaults that are safe, and messages that name the variable and the fix."""

import contextlib

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import problems_of
from alpha_pulse.hedging.common.section import unit_of
from alpha_pulse.runtime.masking import forget_secrets, mask
from alpha_pulse.service.settings import ServiceSettings, load_service_settings
from alpha_pulse.service.tokens import Scope, new_token

PLANTED = "hunter2-planted"


@pytest.fixture(autouse=True)
def _no_secrets_left():
    yield
    forget_secrets()


def refusal(**variables):
    with pytest.raises(ConfigError) as caught:
        load_service_settings({f"HE_{name}": value for name, value in variables.items()})
    return caught.value


def test_without_variables_it_listens_to_this_machine_alone_on_sqlite_and_without_redis():
    settings = load_service_settings({})
    assert (settings.env, settings.host, settings.port) == ("dev", "127.0.0.1", 8000)
    assert settings.db_dsn.startswith("sqlite")
    assert settings.redis_url is None
    assert settings.assets == ("BTC", "ETH", "LTC", "XRP")
    assert (settings.max_hedge_pct, settings.stale_score_s) == (1.0, 3.0)
    assert str(settings.curves) == "config/curve_knots.yaml"


def test_every_setting_says_its_unit():
    assert [name for name, field in ServiceSettings.model_fields.items() if not unit_of(field)] == []


def test_variables_of_others_and_empty_ones_are_left_alone():
    assert load_service_settings({"PATH": "/bin", "HE_PORT": " ", "HEX": "1"}) == load_service_settings({})


def test_lists_are_separated_by_commas_or_spaces():
    assert load_service_settings({"HE_ASSETS": "BTC, SOL ETH"}).assets == ("BTC", "SOL", "ETH")


def test_a_misspelt_variable_is_named_with_the_one_that_was_meant():
    error = refusal(PROT="1")
    assert error.field == "HE_PROT"
    assert "HE_PORT" in error.fix


def test_all_wrong_variables_are_named_at_once():
    problems = problems_of(refusal(PORT="x", MAX_HEDGE_PCT="80", STALE_SCORE_S="nan"))
    assert {problem.field for problem in problems} == {"HE_PORT", "HE_MAX_HEDGE_PCT", "HE_STALE_SCORE_S"}
    assert any("0.8" in problem.fix for problem in problems)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "192.168.1.5", "myhost", "localhost.example.org", "127.0.0.1.example.org"],  # noqa: S104 - it is what is refused
)
def test_an_address_beyond_this_machine_needs_tokens(host):
    error = refusal(HOST=host)
    assert error.field == "HE_HOST"
    assert "HE_API_TOKENS" in error.fix
    _, kept = new_token("desk", Scope.TRADE)
    assert load_service_settings({"HE_HOST": host, "HE_API_TOKENS": kept.entry}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_addresses_of_this_machine_need_none(host):
    assert load_service_settings({"HE_HOST": host}).host == host


def test_production_needs_tokens_everywhere():
    assert refusal(ENV="prod").field == "HE_ENV"


def test_tokens_are_kept_as_hashes():
    token, kept = new_token("desk", Scope.TRADE)
    settings = load_service_settings({"HE_API_TOKENS": f"{kept.entry},{new_token('screen', Scope.READ)[1].entry}"})
    assert [(each.name, each.scope) for each in settings.api_tokens] == [("desk", Scope.TRADE), ("screen", Scope.READ)]
    assert token not in repr(settings)
    assert kept.digest.hex() not in repr(settings)


@pytest.mark.parametrize(
    "variable",
    [
        {"API_TOKENS": PLANTED},
        {"API_TOKENS": f"desk:write:{PLANTED}"},
        {"REDIS_URL": f"http://:{PLANTED}@localhost"},
        {"REDIS_URL": f"redis://:a/{PLANTED}@localhost:6379/0"},
        {"REDIS_URL": f"redis://localhost:6379/0?pass={PLANTED}"},
        {"REDIS_URL": f"redis://localhost:6379/0?socket_timeout={PLANTED}"},
        {"DB_DSN": f"what?:{PLANTED}"},
        {"DB_DSN": f"postgresql+asyncpg://u:p@ss:{PLANTED}@db/hedge"},
        {"BOTS_DSN": f"postgresql+asyncpg://u:p@ss:{PLANTED}@db/hedge"},
    ],
)
def test_no_refusal_repeats_a_secret(variable):
    error = refusal(**variable)
    assert error.field == f"HE_{next(iter(variable))}"
    assert PLANTED not in str(error)


def test_the_password_of_a_url_is_masked_in_the_log_from_then_on():
    settings = load_service_settings({"HE_DB_DSN": f"postgresql+asyncpg://user:{PLANTED}@db/hedge"})
    assert PLANTED in settings.db_dsn
    assert PLANTED not in mask(f"cannot reach the server as user with {PLANTED}")
    assert PLANTED not in repr(settings)


@pytest.mark.parametrize(
    ("url", "known_as"),
    [
        (f"postgresql://user:half@{PLANTED}@db/hedge", f"half@{PLANTED}"),
        (f"postgresql://user:half:{PLANTED}@db/hedge", f"half:{PLANTED}"),
        (f"postgresql://user:half/{PLANTED}@db/hedge", f"half/{PLANTED}"),
        (f"postgresql://user:half%40{PLANTED}@db/hedge", f"half@{PLANTED}"),
        (f"postgresql://db/hedge?user=x&password=half%40{PLANTED}&port=5432", f"half@{PLANTED}"),
        (f"postgresql://db/hedge?sslpassword={PLANTED}", PLANTED),
    ],
)
def test_a_password_is_masked_as_drivers_read_it_wherever_it_stands_in_a_url(url, known_as):
    with contextlib.suppress(ConfigError):
        load_service_settings({"HE_BOTS_DSN": url})
    assert mask(f"<{known_as}>") == "<***>"


def test_secrets_may_stand_in_files(tmp_path):
    file = tmp_path / "dsn"
    file.write_text("sqlite+aiosqlite:///elsewhere.db\n")
    file.chmod(0o600)
    assert load_service_settings({"HE_DB_DSN_FILE": str(file)}).db_dsn == "sqlite+aiosqlite:///elsewhere.db"


def test_names_of_assets_are_plain():
    assert refusal(ASSETS="btc").field == "HE_ASSETS"
    assert refusal(ASSETS="BTC,../X").field == "HE_ASSETS"

"""A key and a secret that were given to a bot in real mode are found nowhere afterwards, however its requests failed."""

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64encode
from decimal import Decimal
from urllib.parse import quote, quote_plus

import pytest
from loguru import logger

from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig
from alpha_pulse.fake_exchange.rehearsal import QUICK
from alpha_pulse.runtime.logging import LoggingSettings, configure_logging
from alpha_pulse.runtime.masking import forget_secrets
from alpha_pulse.settings.model import Settings
from tests.integration.live.processes import BY_PRICE_ALONE, EAGER, Outside
from tests.integration.live.staged import PATIENCE_S, Staged

KEY = "PLANTEDkey+with/odd=signs%41&more"
SECRET = 'PLANTEDsecret"quotes\\and/plus+signs=='  # noqa: S105 - it is looked for, not used
ENVIRON = {"EXCHANGE_API_KEY": KEY, "EXCHANGE_API_SECRET": SECRET}
FAKE = FakeConfig(accounts=(AccountConfig(key=KEY, secret=SECRET, usdt=Decimal(100_000)),))
ECHO = f"Forbidden: X-MBX-APIKEY: {KEY} secret={SECRET} {quote(SECRET, safe='')}"


@pytest.fixture(autouse=True)
def _forget():
    """No other test masks what was planted here."""
    yield
    forget_secrets()
    logger.remove()


def forms(secret):
    """The ways in which a secret is written down."""
    text = secret.encode()
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1])
    yield from (b64encode(text).decode(), b64encode(text).decode().rstrip("="), text.hex())


def leaks(text):
    """Which forms of key and secret a text holds."""
    return [form for secret in (KEY, SECRET) for form in forms(secret) if form in text]


def leaks_in(folder):
    """The same for every file under a folder, as bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (there := leaks(path.read_bytes().decode("utf-8", "replace"))):
            found[path.name] = there
    return found


async def trouble(rehearsal):
    """Requests that fail in every way, with answers that repeat what they were sent."""
    fault = rehearsal.fake.control.fault
    body = json.dumps({"code": -1102, "msg": ECHO})
    fault("POST /fapi/v1/*rder*", "status", status=400, body=body, times=2)
    fault("POST /fapi/v1/*rder*", "drop_after", times=1, after=2)
    fault("DELETE /fapi/v1/*rder*", "status", status=500, body=ECHO, times=1)
    fault("GET /fapi/v3/account", "status", status=200, body=ECHO, when="after", times=1)
    fault("GET /fapi/v1/userTrades", "status", status=403, body=ECHO, times=1)
    fault("GET /fapi/v1/openOrders", "status", status=404, body=body, times=1)
    fault("GET /fapi/v3/positionRisk", "timeout_after", times=1)
    fault("POST /fapi/v1/listenKey", "status", status=500, body=ECHO, times=2)
    rehearsal.fake.hub.fault("malformed", text=ECHO)
    rehearsal.fake.hub.fault("disconnect", pattern="user/*", abort=True)
    for price in (96_000, 97_000, 95_900, 94_800, 96_500):
        rehearsal.move(price)
        await asyncio.sleep(0.5)
    rehearsal.fake.control.clear()


@pytest.mark.parametrize("end", ["stopped", "refused"])
async def test_a_process_in_real_mode_writes_its_key_and_secret_nowhere(tmp_path, end):
    folder = tmp_path / "bot"
    folder.mkdir()
    settings = {"logging": {"file": str(folder / "bot.log"), "level": "DEBUG"}, **BY_PRICE_ALONE}
    async with Outside.running(folder, settings, fake=FAKE, environ=ENVIRON, quick=EAGER, start=False) as rehearsal:
        rehearsal.folder = folder
        try:
            await rehearsal.start()
            await rehearsal.settled()
            rehearsal.move(95_100)
            await rehearsal.settled()
            await trouble(rehearsal)
            if end == "refused":
                refusal = json.dumps({"code": -2015, "msg": f"Invalid API-key {KEY}, IP, or permissions for action."})
                rehearsal.fake.control.fault("* /fapi/v[123]/*", "status", status=401, body=refusal, times=None)
                assert await rehearsal.exit_code() == 1
            else:
                await rehearsal.settled()
                assert await rehearsal.stop() == 0
        finally:
            await rehearsal.kill()
        assert rehearsal.fake.faults.hits
        assert "Traceback" in rehearsal.output() or end == "stopped"
        assert leaks_in(folder) == {}
        assert "signature=" not in rehearsal.output().replace("signature=***", "")


async def test_no_log_no_record_and_no_repr_shows_them(tmp_path):
    configure_logging(LoggingSettings(file=tmp_path / "all.log", level="DEBUG"), console=False)
    async with Staged.running(tmp_path, BY_PRICE_ALONE, fake=FAKE, environ=ENVIRON, quick=QUICK, start=False) as rehearsal:
        await rehearsal.start()
        await rehearsal.hedge()
        await trouble(rehearsal)
        await rehearsal.settled()
        bot, account = rehearsal.live, rehearsal.live.broker.live
        shown = [bot, bot.broker, account, account.connection, account.connection._keys, rehearsal.settings, account.guard]
        assert leaks("\n".join(f"{thing!r} {thing!s}" for thing in shown)) == []
        assert leaks(rehearsal.settings.model_dump_json() + str(rehearsal.settings.model_dump())) == []
        assert leaks("\n".join(str(stored) for stored in await rehearsal.events())) == []
        assert await rehearsal.broken() == []
    logger.complete()
    assert (tmp_path / "all.log").stat().st_size > 1_000
    assert leaks_in(tmp_path) == {}


@pytest.mark.parametrize("command", [["config", "show"], ["doctor"], ["status"], ["explain"]], ids=" ".join)
async def test_no_command_prints_them(tmp_path, command):
    settings = {"logging": {"file": None}, **BY_PRICE_ALONE}
    async with Outside.running(tmp_path, settings, fake=FAKE, environ=ENVIRON, quick=EAGER, start=False) as rehearsal:
        rehearsal.folder = tmp_path
        try:
            await rehearsal.start()
            await rehearsal.settled()
            rehearsal.fake.control.fault("GET /fapi/v1/leverageBracket", "status", status=400, body=json.dumps({"code": -1, "msg": ECHO}))
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_PULSE_", "TRADING_MODE"))}
            arguments = [sys.executable, "-m", "alpha_pulse", *command, "--config", "config.yaml"]
            done = await asyncio.to_thread(
                subprocess.run, arguments, cwd=tmp_path, env={**kept, **ENVIRON}, capture_output=True, timeout=PATIENCE_S
            )
            printed = (done.stdout + done.stderr).decode()
            assert len(printed) > 100
            assert "No such option" not in printed
            assert leaks(printed) == []
        finally:
            await rehearsal.kill()


def test_settings_refuse_a_key_that_was_written_into_them():
    with pytest.raises(Exception, match="api_key") as caught:
        Settings.read({"exchange": {"api_key": KEY}})
    assert leaks(str(caught.value)) == []

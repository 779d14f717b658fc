"""Where keys come from, and what refuses to be a key."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoBackend
from keyring.errors import KeyringLocked

from alpha_pulse.errors import ConfigError
from alpha_pulse.runtime.masking import forget_secrets, mask
from alpha_pulse.runtime.secrets import ExchangeKeys, read_keys, read_secret

KEY = "k3y-0123456789abcdef"
NAMES = ("EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "EXCHANGE_API_PASSWORD")


@pytest.fixture(autouse=True)
def _nothing_registered() -> Iterator[None]:
    yield
    forget_secrets()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


class MemoryKeyring(KeyringBackend):
    priority = 1

    def __init__(self, entries: dict[tuple[str, str], str], *, locked: bool = False) -> None:
        super().__init__()
        self.entries = entries
        self.locked = locked

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


@pytest.fixture
def use_keyring() -> Iterator[object]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def read_from_file(path: Path | str) -> str:
    return read_secret("EXCHANGE_API_KEY", {"EXCHANGE_API_KEY_FILE": str(path)}).get_secret_value()


def test_a_variable_is_read_without_the_space_around_it_and_masked_from_then_on():
    secret = read_secret("EXCHANGE_API_KEY", {"EXCHANGE_API_KEY": f" {KEY}\n"})
    assert secret.get_secret_value() == KEY
    assert KEY not in repr(secret)
    assert mask(f"signed with {KEY}") == "signed with ***"


def test_a_file_is_read_and_masked_from_then_on(file):
    assert read_from_file(file) == KEY
    assert mask(KEY) == "***"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o777])
def test_a_file_that_others_may_touch_is_refused_with_the_command_that_mends_it(file, mode):
    file.chmod(mode)
    with pytest.raises(ConfigError, match="others may read") as refused:
        read_from_file(file)
    assert f"chmod 600 '{file}'" in str(refused.value)
    assert KEY not in str(refused.value)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(ConfigError, match="regular file"):
            read_from_file(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_of_another_user_is_refused(file):
    os.chown(file, 65534, -1)
    with pytest.raises(ConfigError, match="another user"):
        read_from_file(file)


def test_a_file_that_is_not_there_empty_binary_or_huge_is_refused(file, tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_from_file(tmp_path / "none")
    for content in (b"", b" \n", b"\xff\xfe\x00", b"x" * 70_000, b"a\0b"):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match="holds no secret"):
            read_from_file(file)


def test_a_variable_and_its_file_together_are_refused(file):
    with pytest.raises(ConfigError, match="both set"):
        read_secret("EXCHANGE_API_KEY", {"EXCHANGE_API_KEY": KEY, "EXCHANGE_API_KEY_FILE": str(file)})


def test_a_missing_secret_names_every_way_to_give_it():
    with pytest.raises(ConfigError, match=r"EXCHANGE_API_KEY_FILE.*keyring:service/name"):
        read_secret("EXCHANGE_API_KEY", {"EXCHANGE_API_KEY": "  "})


def test_a_key_pasted_where_its_name_belongs_is_not_repeated():
    with pytest.raises(ConfigError, match="no name of a variable") as refused:
        read_secret(f"{KEY}==", {})
    assert KEY not in str(refused.value)


def test_the_keyring_is_asked_by_name_or_by_a_variable_that_points_to_it(use_keyring):
    use_keyring(MemoryKeyring({("alpha/pulse", "binance"): KEY}))
    assert read_secret("keyring:alpha/pulse/binance", {}).get_secret_value() == KEY
    assert read_secret("EXCHANGE_API_KEY", {"EXCHANGE_API_KEY": "keyring:alpha/pulse/binance"}).get_secret_value() == KEY
    assert mask(KEY) == "***"


def test_a_keyring_that_lacks_the_entry_is_locked_or_missing_says_what_to_do(use_keyring):
    use_keyring(MemoryKeyring({}))
    with pytest.raises(ConfigError, match="keyring set alpha binance"):
        read_secret("keyring:alpha/binance", {})
    with pytest.raises(ConfigError, match="write keyring:service/name"):
        read_secret("keyring:alpha", {})
    use_keyring(MemoryKeyring({}, locked=True))
    with pytest.raises(ConfigError, match=r"KeyringLocked.*unlock or install"):
        read_secret("keyring:alpha/binance", {})
    use_keyring(NoBackend())
    with pytest.raises(ConfigError, match=r"NoKeyringError.*unlock or install"):
        read_secret("keyring:alpha/binance", {})


def test_without_the_library_the_keyring_says_which_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"alpha-pulse\[keyring\]"):
        read_secret("keyring:alpha/binance", {})


def test_the_keys_of_an_exchange_show_stars():
    keys = read_keys(*NAMES, needs_password=True, environ=dict(zip(NAMES, ("aaaa1111", "bbbb2222", "cccc3333"), strict=True)))
    assert [keys.key.get_secret_value(), keys.secret.get_secret_value(), keys.password.get_secret_value()] == [
        "aaaa1111",
        "bbbb2222",
        "cccc3333",
    ]
    assert not any(secret in f"{keys!r} {keys}" for secret in ("aaaa1111", "bbbb2222", "cccc3333"))
    with pytest.raises(AttributeError):
        keys.key = keys.secret


def test_every_missing_key_is_named_at_once():
    with pytest.raises(ConfigError) as refused:
        read_keys(*NAMES, needs_password=True, environ={})
    assert all(name in str(refused.value) for name in NAMES)
    with pytest.raises(ConfigError, match="missing: EXCHANGE_API_SECRET") as refused:
        read_keys(*NAMES, needs_password=False, environ={NAMES[0]: KEY})
    assert KEY not in str(refused.value)


def test_a_password_is_taken_where_it_is_set_and_not_asked_for_where_it_is_not_needed():
    environ = dict(zip(NAMES, ("aaaa1111", "bbbb2222", "cccc3333"), strict=True))
    assert read_keys(*NAMES, needs_password=False, environ=environ).password is not None
    del environ[NAMES[2]]
    assert isinstance(keys := read_keys(*NAMES, needs_password=False, environ=environ), ExchangeKeys)
    assert keys.password is None
    assert read_keys(NAMES[0], NAMES[1], "", needs_password=False, environ=environ).password is None

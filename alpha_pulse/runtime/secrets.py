"""Where keys and passwords come from: an environment variable, a file that only its owner may read, or the system keyring.

Every secret that is read here is masked in the log from then on, whatever form it takes there.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import SecretStr

from alpha_pulse.errors import ConfigError
from alpha_pulse.runtime.logging import register_secret

SecretSource: TypeAlias = str
"""``EXCHANGE_API_KEY``, the name of a variable (``EXCHANGE_API_KEY_FILE`` names a file instead), or ``keyring:service/name``."""

KEYRING: Final = "keyring:"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FILE: Final = "_FILE"
_LARGEST: Final = 64 * 1024  # bytes; the longest private key is far shorter
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class ExchangeKeys:
    """What signs requests to an exchange. Its repr shows stars."""

    key: SecretStr
    secret: SecretStr
    password: SecretStr | None = None  # the passphrase that some exchanges want besides


def read_secret(name: SecretSource, environ: Mapping[str, str]) -> SecretStr:
    """The secret that ``name`` stands for; from now on it is masked in the log.

    A variable's value may itself be ``keyring:service/name``. White space around a secret is dropped.

    Raises:
        ConfigError: there is none, its file may be read by others, or the keyring cannot be asked.
    """
    found = find_secret(name, environ)
    if found is None:
        raise ConfigError(
            "the secret is not set", field=name, fix=f"set {name}, or {name}{_FILE} to a file that holds it, or use {KEYRING}service/name"
        )
    return found


def find_secret(name: SecretSource, environ: Mapping[str, str]) -> SecretStr | None:
    """As ``read_secret``, but None where neither the variable nor its ``_FILE`` is set."""
    if name.startswith(KEYRING):
        return _registered(_from_keyring(name))
    if not _VARIABLE.fullmatch(name):  # not repeated: somebody will paste a key where its variable's name belongs
        raise ConfigError(
            "what should name a secret is no name of a variable",
            fix=f"write the variable's name (EXCHANGE_API_KEY) or {KEYRING}service/name",
        )
    value, path = environ.get(name, "").strip(), environ.get(f"{name}{_FILE}", "").strip()
    if value and path:
        raise ConfigError(f"{name} and {name}{_FILE} are both set", field=name, fix="unset one of them")
    if path:
        return _registered(_from_file(f"{name}{_FILE}", path))
    if value.startswith(KEYRING):
        return _registered(_from_keyring(value))
    return _registered(value) if value else None


def read_keys(
    api_key_env: SecretSource, api_secret_env: SecretSource, password_env: SecretSource, needs_password: bool, environ: Mapping[str, str]
) -> ExchangeKeys:
    """The keys of an exchange account; a password is read where it is set, and demanded where ``needs_password``.

    Raises:
        ConfigError: naming every secret that is missing, or as ``read_secret``.
    """
    found = {name: find_secret(name, environ) for name in (api_key_env, api_secret_env, password_env) if name}
    key, secret, password = (found.get(name) for name in (api_key_env, api_secret_env, password_env))
    if key is None or secret is None or (needs_password and password is None):
        wanted = (api_key_env, api_secret_env, *([password_env] if needs_password else ()))
        missing = [name or "the password's variable" for name in wanted if found.get(name) is None]
        raise ConfigError(
            f"the exchange's keys are not complete, missing: {', '.join(missing)}",
            fix=f"set {' and '.join(missing)}; with {_FILE} at the end of a name it is the path of a file that holds the secret",
        )
    return ExchangeKeys(key, secret, password)


def _registered(value: str) -> SecretStr:
    register_secret(value)
    return SecretStr(value)


def _from_file(variable: str, path: str) -> str:
    """A file's content. What is checked is what is read: the open file, not its name."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))  # a pipe must not block
        try:
            _check_file(variable, path, os.fstat(descriptor))
            content = os.read(descriptor, _LARGEST + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        fix = "name a file that you own, and chmod 600 it"
        raise ConfigError(f"the file cannot be read: {error.strerror}", field=variable, value=path, fix=fix) from None
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > _LARGEST or "\0" in text:
        raise ConfigError(
            "the file holds no secret", field=variable, value=path, fix="write the secret alone into it, as text"
        )  # without the content
    return text


def _check_file(variable: str, path: str, found: os.stat_result) -> None:
    """Refuse what others may read or could have put there."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError("is no regular file", field=variable, value=path, fix="name a plain file that holds the secret")
    if os.name != "posix":
        return  # permission bits mean nothing there
    if found.st_uid != os.geteuid():
        raise ConfigError(
            "the file belongs to another user", field=variable, value=path, fix=f"chown it to yourself and chmod 600 {shlex.quote(path)}"
        )
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(f"others may read the file (mode {mode:03o})", field=variable, value=path, fix=f"chmod 600 {shlex.quote(path)}")


def _from_keyring(source: str) -> str:
    """A password of the system keyring: ``keyring:service/name``."""
    service, slash, name = source.removeprefix(KEYRING).rpartition("/")
    if not slash or not service or not name:
        raise ConfigError("is no entry of the keyring", field=source, fix=f"write {KEYRING}service/name")
    try:
        import keyring  # noqa: PLC0415 - an extra that few need
        from keyring.errors import KeyringError  # noqa: PLC0415 - as above
    except ImportError:
        raise ConfigError(
            "the system keyring needs a library that is not installed", field=source, fix='pip install "alpha-pulse[keyring]"'
        ) from None
    try:
        value = (keyring.get_password(service, name) or "").strip()
    except KeyringError as error:
        raise ConfigError(
            f"the system keyring cannot be asked ({type(error).__name__})",
            field=source,
            fix="unlock or install a keyring (gnome-keyring, KWallet, macOS Keychain), or give the secret in a file instead",
        ) from None
    if not value:
        raise ConfigError("the keyring has no such entry", field=source, fix=f"keyring set {shlex.quote(service)} {shlex.quote(name)}")
    return value

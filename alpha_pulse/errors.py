"""Every error that alpha_pulse raises, named by the reaction that it calls for.

::

    AlphaPulseError
    ├── ConfigError          refuse to start; the message names field, value and fix
    │   └── DataError        a data file is corrupt; the message names file, row and reason
    ├── Transient            retry with backoff (creates are never retried blindly)
    ├── Rejected             the venue said no; record it, plan again
    ├── AmbiguousOutcome     nobody knows whether it happened; ask for the client order id
    └── Fatal                halt; a person has to look
"""

from __future__ import annotations


class AlphaPulseError(Exception):
    """Base of everything that alpha_pulse raises on purpose."""


class ConfigError(AlphaPulseError):
    """Something the user gave cannot be run: it is refused before anything starts.

    The rendered message says where (``field``), what (``value``) and how to mend it (``fix``).
    """

    def __init__(self, problem: str, *, field: str = "", value: object = None, fix: str = "") -> None:
        self.problem = problem
        self.field = field
        self.value = value
        self.fix = fix
        super().__init__(self.__str__())

    def __str__(self) -> str:
        where = f"{self.field} = {self.value!r}: " if self.field and self.value is not None else f"{self.field}: " if self.field else ""
        problem = self.problem if self.problem.endswith((".", "!", "?")) else f"{self.problem}."
        fix = f" Fix: {self.fix}" if self.fix else ""
        return f"{where}{problem}{fix}"


class DataError(ConfigError):
    """A data file cannot be trusted. ``row`` counts data rows from 1 (the header is not a row)."""

    def __init__(self, problem: str, *, path: str, row: int | None = None, fix: str = "") -> None:
        self.path = path
        self.row = row
        super().__init__(problem, field=path if row is None else f"{path}, row {row}", fix=fix)


class Transient(AlphaPulseError):
    """A read failed in a way that passes by itself: retry with backoff."""


class Rejected(AlphaPulseError):
    """The venue refused an order or a cancel, and nothing happened there."""

    def __init__(self, reason: str, *, client_order_id: str = "") -> None:
        self.reason = reason
        self.client_order_id = client_order_id
        super().__init__(reason)


class AmbiguousOutcome(AlphaPulseError):
    """A write was sent and its outcome is unknown. It is not a failure: ask the venue for the client order id."""

    def __init__(self, reason: str, *, client_order_id: str = "") -> None:
        self.reason = reason
        self.client_order_id = client_order_id
        super().__init__(reason)


class Fatal(AlphaPulseError):
    """Going on would be wrong: halt and let a person look."""

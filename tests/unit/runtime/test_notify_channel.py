"""Sending without being in the way: queues, retries, the end; and the store that tells after it has stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from loguru import logger

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.hedging.common.interfaces import StateStore
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.memory import MemoryStore
from alpha_pulse.hedging.state.notifying import NotifyingStore
from alpha_pulse.runtime.notify.channel import Backoff, Channel, Message
from alpha_pulse.runtime.notify.config import NotifySettings, Severity
from alpha_pulse.runtime.notify.notifier import Notifier, create_notifier, send_test
from alpha_pulse.runtime.notify.targets import SendFailed
from alpha_pulse.testing.bookings import SYMBOL, fill_event, make_fill
from alpha_pulse.testing.fakes import FakeClock

QUICK = Backoff(0.001, 0.002, 0.0)
INFO, CRITICAL = Severity.INFO, Severity.CRITICAL


class FakeSender:
    """Keeps what it is given; fails as often as it is told; can be held up."""

    label = "target 1 (fake)"

    def __init__(self, failures: int = 0, *, again: bool = True) -> None:
        self.sent: list[str] = []
        self.bodies: list[str] = []
        self.attempts = 0
        self.failures = failures
        self.again = again
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def send(self, title: str, body: str, severity: Severity) -> None:
        self.attempts += 1
        self.entered.set()
        assert self.open.wait(10)
        if self.failures > 0:
            self.failures -= 1
            raise SendFailed("HTTP 500", again=self.again)
        self.sent.append(title)
        self.bodies.append(body)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    number = logger.add(lambda line: lines.append(str(line)), format="{level} {message}", level="INFO")
    yield lines
    logger.remove(number)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def channel(sender: FakeSender, size: int = 10, attempts: int = 3, backoff: Backoff = QUICK) -> Channel:
    return Channel(sender, size=size, attempts=attempts, backoff=backoff)


def put(to: Channel, *titles: str, severity: Severity = INFO) -> None:
    for title in titles:
        to.put(Message(title, "body", severity))


def close(to: Channel, seconds: float = 5.0) -> int:
    return to.close(time.monotonic() + seconds)


def alert(key: str = "liquidation") -> Event:
    return Event(EventKind.ALERT, 1000, "t", {"key": key, "text": "Top up"})


def test_messages_are_sent_in_order_and_the_end_waits_for_them():
    sender = FakeSender()
    to = channel(sender)
    put(to, "a", "b", "c")
    assert close(to) == 0
    assert sender.sent == ["a", "b", "c"]


def test_a_full_queue_drops_the_oldest_that_is_not_critical_and_counts_it():
    sender = FakeSender()
    sender.open.clear()
    to = channel(sender, size=3)
    put(to, "under way")
    assert sender.entered.wait(5)
    put(to, "C1", severity=CRITICAL)
    put(to, "a", "b", "c")
    put(to, "C2", "C3", severity=CRITICAL)
    assert to.dropped == 3
    put(to, "d")
    put(to, "C4", severity=CRITICAL)
    sender.open.set()
    assert close(to) == 0
    assert sender.sent == ["under way", "C2", "C3", "C4"]
    assert to.dropped == 5


def test_a_failure_is_retried_and_then_forgotten(logged):
    sender = FakeSender(failures=2)
    to = channel(sender)
    put(to, "a")
    assert close(to) == 0
    assert (sender.sent, sender.attempts, to.lost) == (["a"], 3, 0)
    assert not logged


def test_what_no_attempt_gets_through_is_logged_once_until_something_does(logged):
    sender = FakeSender(failures=6)
    to = channel(sender)
    put(to, "a", "b", "c")
    assert close(to) == 0
    assert (sender.sent, to.lost) == (["c"], 2)
    assert logged == [
        "ERROR No notification reaches target 1 (fake): HTTP 500. Further failures are not logged\n",
        "INFO Notifications reach target 1 (fake) again; 2 were lost so far\n",
    ]


def test_a_refusal_is_not_tried_again():
    sender = FakeSender(failures=1, again=False)
    to = channel(sender)
    put(to, "a", "b")
    assert close(to) == 0
    assert (sender.attempts, to.lost, sender.sent) == (2, 1, ["b"])


def test_the_end_is_bounded_and_says_how_much_was_left():
    sender = FakeSender()
    sender.open.clear()
    to = channel(sender)
    put(to, "stuck", "a", "b")
    assert sender.entered.wait(5)
    started = time.monotonic()
    assert close(to, 0.05) == 3
    assert time.monotonic() - started < 1
    sender.open.set()
    put(to, "too late")
    assert to.dropped == 1


def test_after_the_end_nothing_is_retried():
    sender = FakeSender(failures=100)
    to = channel(sender, attempts=20, backoff=Backoff(0.05, 0.05, 0.0))
    put(to, "a")
    assert sender.entered.wait(5)
    assert close(to, 0.0) == 1
    until(lambda: to.lost == 1)
    assert sender.attempts <= 2


def test_telling_returns_at_once_while_a_target_hangs_and_another_gets_the_message():
    stuck, well = FakeSender(), FakeSender()
    stuck.open.clear()
    notifier = Notifier(NotifySettings(close_timeout_s=0.05), FakeClock(), [stuck, well], backoff=QUICK)
    notifier.tell([alert("halted 0")], SYMBOL)
    until(lambda: bool(well.sent))  # later ones may push each other out: the queue is bounded
    for n in range(1, 200):
        notifier.tell([alert(f"halted {n}")], SYMBOL)  # returns, though the one target never would
    until(lambda: len(well.sent) + notifier.dropped >= 200)
    assert well.sent[0] == "CRITICAL BTCUSDT: halted 0"
    notifier.close()
    stuck.open.set()


def test_events_that_nobody_can_read_are_not_told_and_raise_nothing(logged):
    sender = FakeSender()
    notifier = Notifier(NotifySettings(), FakeClock(), [sender], backoff=QUICK)
    notifier.tell(
        [Event(EventKind.ALERT, 1, "t", {"key": "k", "topic": ["unhashable"]}), Event(EventKind.STARTED, 10**30, "t", {})], SYMBOL
    )
    notifier.tell([Event(EventKind.FILL, 10**30, "t", {})], SYMBOL)
    notifier.close()
    notifier.close()
    notifier.tell([alert()], SYMBOL)
    assert sender.sent == []
    assert len(logged) == 2


def test_repetitions_are_told_once_and_the_next_message_says_what_was_held_back():
    clock, sender = FakeClock(), FakeSender()
    notifier = Notifier(NotifySettings(rate_per_hour=1), clock, [sender], backoff=QUICK)
    notifier.tell([alert(), alert()], SYMBOL)
    notifier.tell([fill_event(make_fill())], SYMBOL)
    notifier.tell([fill_event(make_fill(trade="t2"))], SYMBOL)
    notifier.tell([alert("halted")], "ETH/USDT:USDT")
    notifier.close()
    assert sender.sent == ["CRITICAL BTCUSDT: liquidation", "BTCUSDT: filled", "CRITICAL ETHUSDT: halted"]
    assert sender.bodies[2].endswith("Not told before: 1 over 1 an hour; see alpha-pulse status and the log.")


def test_without_a_target_there_is_no_notifier():
    assert create_notifier(NotifySettings(), FakeClock(), {}) is None


def test_a_test_message_reports_each_target():
    results = send_test([FakeSender(), FakeSender(failures=1)])
    assert [result.problem for result in results] == ["", "HTTP 500"]


class Full(MemoryStore):
    """A disk that is full."""

    async def save(self, events: Sequence[Event], state: BotState | None = None) -> None:
        raise OSError(28, "No space left on device")


class Listening:
    """A teller that remembers what the store knew when it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.store: MemoryStore | None = None

    def tell(self, events: Sequence[Event], symbol: str) -> None:
        assert self.store is not None
        self.told.append((symbol, len(self.store._opened().events)))


def test_the_store_passes_on_everything_that_the_port_has():
    port = {name for name in vars(StateStore) if not name.startswith("_")} | set(StateStore.__annotations__)
    assert port <= set(vars(NotifyingStore(MemoryStore(), Listening()))) | set(vars(NotifyingStore))


async def test_events_are_told_after_they_were_stored():
    teller, inner = Listening(), MemoryStore(records_every_tick=True)
    teller.store = inner
    store = NotifyingStore(inner, teller)
    assert store.records_every_tick
    assert await store.open("account", SYMBOL, "run", 0) is None
    await store.save([alert()])
    assert teller.told == [(SYMBOL, 1)]
    assert [one.event for one in await store.events()] == [alert()]
    inner.post_command("account", SYMBOL, "stop")
    assert [command.name for command in await store.commands()] == ["stop"]
    assert await store.unsettled() == []
    await store.close()
    await store.close()


async def test_what_could_not_be_stored_is_not_told():
    teller, inner = Listening(), Full()
    teller.store = inner
    store = NotifyingStore(inner, teller)
    await store.open("account", SYMBOL, "run", 0)
    with pytest.raises(OSError, match="No space"):
        await store.save([alert()])
    assert teller.told == []

"""Every websocket of the fake exchange: subscriptions, delivery without ever blocking the venue, and the faults of the wire."""

from __future__ import annotations

import asyncio
import fnmatch
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from aiohttp import web

from alpha_pulse.fake_exchange.stream_faults import EVERYTHING, StreamEvent, StreamFault, StreamFaults
from alpha_pulse.fake_exchange.stream_requests import answer_api, answer_stream
from alpha_pulse.fake_exchange.stream_socket import StreamSocket
from alpha_pulse.fake_exchange.stream_topics import SPOT, Entrance, all_symbols_topic, entrance_of, topic_of, user_topic
from alpha_pulse.fake_exchange.streams import BAD_JSON, event_stream_terminated, listen_key_expired


class StreamDesk(Protocol):
    """What the hub asks of the venue."""

    def account_of_listen_key(self, key: str) -> str | None:
        """The account whose futures user stream this key opens; None when the key is unknown or has expired."""
        ...

    def now_ms(self) -> int:
        """The venue's time [ms]."""
        ...

    def market_snapshot(self, stream: str) -> dict[str, Any] | None:
        """The frame to send right after a subscription, or None. Spot streams are asked for as ``spot/btcusdt@bookTicker``."""
        ...

    def spot_account_of(self, api_key: str) -> str | None:
        """The account of an API key on the spot market, or None."""
        ...


class Hub:
    """Delivers the venue's events to whoever subscribed to them.

    Args:
        desk: the venue.
        on_key_expired: told a listen key when the fault ``expire_listen_key`` ends it, so that the venue hands out a new one.

    Attributes:
        faults: the faults that are on.
        connections: sockets opened so far.
        delivered: events handed to sockets so far, by topic.
    """

    def __init__(self, desk: StreamDesk, *, on_key_expired: Callable[[str], None] | None = None) -> None:
        self._desk = desk
        self._on_key_expired = on_key_expired
        self.faults = StreamFaults(lambda: asyncio.get_running_loop().time())
        self.connections = 0
        self.delivered: Counter[str] = Counter()
        self._sockets: set[StreamSocket] = set()
        self._listeners: defaultdict[str, set[StreamSocket]] = defaultdict(set)
        self._dead_keys: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what the venue says -----------------------------------------------------------------------------------------------------------

    def market(self, stream: str, payload: dict[str, Any]) -> None:
        """Deliver a public event, e.g. of ``btcusdt@markPrice@1s``; of the spot market as ``spot/btcusdt@bookTicker``. Never blocks.

        Publish each channel at one pace: whoever asks for another pace of it gets the same events.
        """
        self._publish(StreamEvent(topic_of(stream), stream, payload))

    def private(self, account: str, payload: dict[str, Any], kind: str = "futures") -> None:
        """Deliver an account's event; ``kind`` is futures or spot. A ``listenKeyExpired`` ends what its key receives. Never blocks."""
        if payload.get("e") == "listenKeyExpired":
            self._expire(user_topic(account), payload)
            return
        topic = user_topic(account, kind)
        self._publish(StreamEvent(topic, topic, payload))

    def _publish(self, event: StreamEvent) -> None:
        for passed in self.faults.pass_on(event) if self.faults.active else (event,):
            self._deliver(passed)

    def _deliver(self, event: StreamEvent) -> None:
        texts: dict[tuple[str, int | None], str] = {}
        for socket in tuple(self._listeners.get(event.topic, ())):
            self._send(socket, event.topic, event.payload, event.wait, texts)
        whole = all_symbols_topic(event.topic)
        if whole is not None and whole in self._listeners:
            payload = [event.payload] if whole.endswith("@arr") else event.payload
            texts = {}
            for socket in tuple(self._listeners[whole]):
                self._send(socket, whole, payload, event.wait, texts)

    def _send(self, socket: StreamSocket, topic: str, payload: Any, wait: float, texts: dict[tuple[str, int | None], str]) -> None:
        if socket.listen_key in self._dead_keys or self._is_frozen(socket):
            return
        name = socket.topics[topic] if socket.combined else ""
        form = (name, socket.subscription_id)
        if form not in texts:
            wrapped = {"stream": name.removeprefix(SPOT), "data": payload} if name else payload
            if socket.subscription_id is not None:
                wrapped = {"subscriptionId": socket.subscription_id, "event": payload}
            texts[form] = _encode(wrapped)
        if socket.put(texts[form], wait):
            self.delivered[topic] += 1

    def _is_frozen(self, socket: StreamSocket) -> bool:
        return bool(self.faults.active) and self.faults.is_frozen(socket.topics)

    # --- what clients ask --------------------------------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one websocket, whatever its address."""
        entrance = entrance_of(request.path, request.query)
        socket = StreamSocket(spot=entrance.spot, combined=entrance.combined)
        wanted = self._wanted(socket, entrance)
        if self.faults.is_refused(wanted):
            raise web.HTTPServiceUnavailable(text="the stream is refused for a while")
        response = await socket.open(request, lambda: self._is_frozen(socket))
        self.connections += 1
        self._sockets.add(socket)
        self._listen(socket, wanted)
        try:
            async for text in socket.frames():
                self._answer(socket, text, api=entrance.api)
        finally:
            self._leave(socket)
            await socket.stop()
        return response

    def _wanted(self, socket: StreamSocket, entrance: Entrance) -> dict[str, str]:
        """The topics that the address itself asks for. A listen key that nobody knows connects and hears nothing, as at the real venue."""
        prefix = SPOT if entrance.spot else ""
        wanted = {prefix + topic_of(name): prefix + name for name in entrance.streams}
        account = None if entrance.key is None else self._desk.account_of_listen_key(entrance.key)
        if account is not None:
            socket.listen_key, socket.user = entrance.key, user_topic(account)
            wanted[socket.user] = socket.user
        return wanted

    def _answer(self, socket: StreamSocket, text: str, *, api: bool) -> None:
        answer = answer_api(text, socket, self._desk) if api else answer_stream(text, socket)
        self._forget(socket, answer.leave)
        refused = self.faults.is_refused(answer.join)
        self._listen(socket, {} if refused else answer.join, snapshots=False)
        if refused:
            self._run(socket.close())
            return
        socket.put(_encode(answer.reply))
        self._snapshots(socket, answer.join)

    def _listen(self, socket: StreamSocket, topics: dict[str, str], *, snapshots: bool = True) -> None:
        for topic, name in topics.items():
            socket.topics[topic] = name
            self._listeners[topic].add(socket)
        if snapshots:
            self._snapshots(socket, topics)
        self._wake()

    def _snapshots(self, socket: StreamSocket, topics: dict[str, str]) -> None:
        for topic, name in topics.items():
            frame = None if topic == socket.user else self._desk.market_snapshot(name)
            if frame is None:
                continue
            for event in self.faults.pass_on(StreamEvent(topic, name, frame)):
                self._send(socket, topic, event.payload, event.wait, {})

    def _forget(self, socket: StreamSocket, topics: list[str]) -> None:
        for topic in topics:
            socket.topics.pop(topic, None)
            listeners = self._listeners[topic]
            listeners.discard(socket)
            if not listeners:
                del self._listeners[topic]
        self._wake()

    def _leave(self, socket: StreamSocket) -> None:
        self._forget(socket, list(socket.topics))
        self._sockets.discard(socket)
        self._wake()

    # --- faults ------------------------------------------------------------------------------------------------------------------------

    def fault(
        self,
        name: str,
        *,
        pattern: str = EVERYTHING,
        account: str | None = None,
        count: int | None = None,
        seconds: float = 0.0,
        text: str = BAD_JSON,
        abort: bool = False,
    ) -> None:
        """Switch a fault on, for the topics that ``pattern`` matches (``btcusdt@*``, ``spot/*``, ``user/*``) or an account's private ones.

        - ``silent``: nothing is delivered; pings are answered. ``frozen``: the whole socket hangs, pings too; a new one is accepted and
          hangs. Both last ``seconds``, or until cleared; what happened meanwhile is lost.
        - ``disconnect``: sockets are closed (``abort``: cut without a close frame) and new ones refused for ``seconds``.
        - ``drop``, ``duplicate``, ``reorder`` (swap with the next one): the next ``count`` events, default 1.
        - ``gap``, ``checksum``: the next ``count`` depth frames are lost, or come with update ids far ahead.
        - ``delay``: by ``seconds``, the next ``count`` events or until cleared.
        - ``malformed``: ``text`` is sent as it is.
        - ``expire_listen_key`` (futures): ``listenKeyExpired`` is sent, and nothing on that key any more. ``terminate_user_stream``
          (spot): ``eventStreamTerminated`` is sent, and nothing on that subscription any more.

        Raises:
            ConfigError: there is no such fault.
        """
        match name:
            case "disconnect":
                hit = self._hit(StreamFault(name, pattern, account))
                if seconds > 0.0:
                    self.faults.add("refuse", pattern=pattern, account=account, count=None, seconds=seconds)
                for socket in hit:
                    self._cut(socket, abort=abort)
            case "malformed":
                for socket in self._hit(StreamFault(name, pattern, account)):
                    socket.put(text)
            case "expire_listen_key" | "terminate_user_stream":
                self._end_user_streams(StreamFault(name, pattern, account), spot=name == "terminate_user_stream")
            case _:
                self.faults.add(name, pattern=pattern, account=account, count=count, seconds=seconds)

    def clear_faults(self, name: str | None = None) -> None:
        """Switch off every fault, or those of one name. Events that were held back for a swap are delivered."""
        for event in self.faults.clear(name):
            self._publish(event)

    def _hit(self, fault: StreamFault) -> list[StreamSocket]:
        return [socket for socket in self._sockets if fault.hits_socket(socket.topics)]

    def _cut(self, socket: StreamSocket, *, abort: bool) -> None:
        self._leave(socket)  # at once: what happens from now on does not reach it
        if abort:
            socket.abort()
        else:
            self._run(socket.close())

    def _end_user_streams(self, fault: StreamFault, *, spot: bool) -> None:
        for socket in self._hit(fault):
            if socket.user is None or spot != socket.user.startswith(SPOT):
                continue
            if spot:
                self._send(socket, socket.user, event_stream_terminated(event_ms=self._desk.now_ms()), 0.0, {})
                self._forget(socket, [socket.user])
            elif socket.listen_key is not None and socket.listen_key not in self._dead_keys:
                key = socket.listen_key
                self._expire(socket.user, listen_key_expired(event_ms=self._desk.now_ms(), listen_key=key))
                if self._on_key_expired is not None:
                    self._on_key_expired(key)

    def _expire(self, topic: str, payload: dict[str, Any]) -> None:
        """Send the last frame of a listen key. It opens nothing any more."""
        key = payload["listenKey"]
        for socket in tuple(self._listeners.get(topic, ())):
            if socket.listen_key == key:
                self._send(socket, topic, payload, 0.0, {})
        self._dead_keys.add(key)

    # --- for tests and the control endpoint --------------------------------------------------------------------------------------------

    @property
    def open_sockets(self) -> int:
        """Sockets that are connected now."""
        return len(self._sockets)

    @property
    def subscriptions(self) -> list[str]:
        """What is subscribed to now, as it was asked for; once per socket, sorted."""
        return sorted(self._names())

    def _names(self) -> Iterator[str]:
        for socket in self._sockets:
            yield from socket.topics.values()

    async def subscribed(self, pattern: str, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - a test wants one line
        """Wait until something that matches is subscribed to, e.g. ``btcusdt@bookTicker`` or ``user/*``.

        Raises:
            TimeoutError: nobody did within ``timeout`` seconds.
        """
        async with asyncio.timeout(timeout):
            while not any(fnmatch.fnmatchcase(name, pattern) for name in self._names()):
                self._changed.clear()
                await self._changed.wait()

    async def close(self) -> None:
        """Close every socket. Faults are switched off first, so that nothing hangs."""
        self.faults.clear()
        await asyncio.gather(*(socket.close() for socket in tuple(self._sockets)), *self._tasks)

    def _wake(self) -> None:
        self._changed.set()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _encode(payload: Any) -> str:
    return json.dumps(payload, separators=(",", ":"))

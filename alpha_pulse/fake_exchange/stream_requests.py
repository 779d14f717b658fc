"""What clients send over a websocket, and the answers: subscriptions, and the requests of the websocket API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from alpha_pulse.fake_exchange.stream_socket import StreamSocket
from alpha_pulse.fake_exchange.stream_topics import SPOT, topic_of, user_topic


class SpotDesk(Protocol):
    """What the websocket API asks of the venue."""

    def now_ms(self) -> int:
        """The venue's time [ms]."""
        ...

    def spot_account_of(self, api_key: str) -> str | None:
        """The account of an API key, or None."""
        ...


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """The frame to send back, and what the socket hears from now on (topic to the name asked by) or no longer."""

    reply: dict[str, Any]
    join: dict[str, str] = field(default_factory=dict)
    leave: list[str] = field(default_factory=list)


def answer_stream(text: str, socket: StreamSocket) -> StreamAnswer:
    """Answer a frame of a client of the streams."""
    request = _read(text)
    if request is None:
        return StreamAnswer({"error": {"code": 3, "msg": "Invalid JSON"}})
    number, asked = request.get("id"), request.get("params") or []
    prefix = SPOT if socket.spot else ""
    names = {prefix + topic_of(name): prefix + name for name in asked if isinstance(name, str)}
    match request.get("method"):
        case "SUBSCRIBE":
            return StreamAnswer({"result": None, "id": number}, join=names)
        case "UNSUBSCRIBE":
            return StreamAnswer({"result": None, "id": number}, leave=[topic for topic in names if topic in socket.topics])
        case "LIST_SUBSCRIPTIONS":
            listed = [name.removeprefix(SPOT) for topic, name in socket.topics.items() if topic != socket.user]
            return StreamAnswer({"result": listed, "id": number})
        case unknown:
            return StreamAnswer({"error": {"code": 2, "msg": f"Invalid request: unknown variant {unknown}"}, "id": number})


def answer_api(text: str, socket: StreamSocket, desk: SpotDesk) -> StreamAnswer:
    """Answer a request of the websocket API. Signatures are not checked here: the key alone decides."""
    request = _read(text)
    if request is None:
        return _refused(None, 400, -1000, "Invalid JSON.")
    number, given = request.get("id"), request.get("params") or {}
    match request.get("method"):
        case "ping":
            return StreamAnswer(_ok(number, {}))
        case "time":
            return StreamAnswer(_ok(number, {"serverTime": desk.now_ms()}))
        case "userDataStream.subscribe.signature":
            return _user_stream(number, given, socket, desk)
        case "userDataStream.unsubscribe":
            leave = [] if socket.user is None else [socket.user]
            return StreamAnswer(_ok(number, {}), leave=leave)
        case unknown:
            return _refused(number, 400, -1100, f"The fake exchange does not serve the method {unknown} over a websocket.")


def _user_stream(number: Any, given: dict[str, Any], socket: StreamSocket, desk: SpotDesk) -> StreamAnswer:
    account = desk.spot_account_of(str(given.get("apiKey", "")))
    if account is None or not socket.spot or "signature" not in given:
        return _refused(number, 401, -2015, "Invalid API-key, IP, or permissions for action.")
    socket.user, socket.subscription_id = user_topic(account, "spot"), 0
    return StreamAnswer(_ok(number, {"subscriptionId": 0}), join={socket.user: socket.user})


def _read(text: str) -> dict[str, Any] | None:
    try:
        request = json.loads(text)
    except ValueError:
        return None
    return request if isinstance(request, dict) else None


def _ok(number: Any, result: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "status": 200, "result": result, "rateLimits": []}


def _refused(number: Any, status: int, code: int, message: str) -> StreamAnswer:
    return StreamAnswer({"id": number, "status": status, "error": {"code": code, "msg": message}})

"""Alerts of one pair: each once while it lasts, and again when it cannot be the same any more."""

from alpha_pulse.execution.live.voice import Voice
from alpha_pulse.testing import FakeClock

DAY_S = 86_400


def said(voice):
    return [event.payload["key"] for event in voice.drain()]


async def test_what_lasts_is_said_once_a_day():
    clock = FakeClock()
    voice = Voice("BTC/USDT:USDT", clock, lambda: None)
    for _ in range(3):
        voice.say("leverage 5", "The venue's leverage was changed to 5")
    assert said(voice) == ["leverage 5"]
    await clock.sleep(DAY_S - 1)
    voice.say("leverage 5", "The venue's leverage was changed to 5")
    assert said(voice) == []
    await clock.sleep(1)
    voice.say("leverage 5", "The venue's leverage was changed to 5")
    assert said(voice) == ["leverage 5"]

"""What the venue rejected, as ``grid.backoff`` remembers it: the same kind of order is asked for less and less often."""

from __future__ import annotations

from alpha_pulse.backtest.compiled.values import Records

_FIRST_WAIT_MS = 60_000
_LONGEST_WAIT_MS = 3_600_000


def is_refused(run: Records, now_ms: int, purpose: int, sign: int, node: int) -> bool:
    """Whether the venue rejected an order of this kind and is not to be asked yet."""
    k = _find_rejection(run, purpose, sign, node)
    return k >= 0 and run.rejections[k].until_ms > now_ms


def _find_rejection(run: Records, purpose: int, sign: int, node: int) -> int:
    for k in range(run.state[0].rejections):
        r = run.rejections[k]
        if r.purpose == purpose and r.sign == sign and r.node == node:
            return k
    return -1


def _forget(run: Records, k: int) -> None:
    s = run.state[0]
    s.rejections -= 1
    if k != s.rejections:
        last, here = run.rejections[s.rejections], run.rejections[k]
        here.purpose, here.sign, here.node, here.tries, here.until_ms = last.purpose, last.sign, last.node, last.tries, last.until_ms


def expire_rejections(run: Records, now_ms: int) -> None:
    """Forget what was not tried again for an hour after its wait."""
    k = 0
    while k < run.state[0].rejections:
        if now_ms - run.rejections[k].until_ms < _LONGEST_WAIT_MS:
            k += 1
        else:
            _forget(run, k)


def note_outcome(run: Records, now_ms: int, purpose: int, sign: int, node: int, accepted: bool) -> None:
    """Remember what came of an order, as ``backoff.after_sending``."""
    s = run.state[0]
    k = _find_rejection(run, purpose, sign, node)
    if accepted:
        if k >= 0:
            _forget(run, k)
        return
    s.rejected += 1
    if k < 0:
        k = s.rejections
        s.rejections += 1
        fresh = run.rejections[k]
        fresh.purpose, fresh.sign, fresh.node, fresh.tries = purpose, sign, node, 0
    r = run.rejections[k]
    r.tries += 1
    wait = 0 if r.tries == 1 else min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS * 2 ** min(r.tries - 2, 10))
    r.until_ms = now_ms + wait

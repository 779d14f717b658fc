"""Where the hedge's profit or loss came from, to the cent.

Notation: t = 0 … N−1 are bar closes; ``P`` spot, ``M`` mark, ``L`` the perpetual's last price; ``F_t`` the signed perpetual position after
bar t (flat before the first bar); fill i has signed quantity ``q_i`` at price ``p_i``, reference price ``r_i``, on bar ``b_i``, the bar
with open < time ≤ close; ``F̄`` the time-average of F. Every sum over t runs from 1, over fills from the first::

    hedge PnL = Δ(cash + unrealised)          of the perpetual account, from its wallet before the first fill to the last bar
    static    = F̄ · (P_end − P_0)             what holding the average position all along would have made on the spot price
    timing    = Σ_t (F_{t−1} − F̄)·(P_t − P_{t−1})  +  Σ_i q_i·(L_{b_i} − r_i)
                                              what changing the position made: between closes, and inside the bar of each fill
    basis     = Σ_t F_{t−1}·Δ(M − P)_t  +  Σ_i q_i·(M_{b_i} − L_{b_i})
                                              what the perpetual's premium over spot, and mark's distance from last at a fill, made
    funding   = Σ settlements                 received > 0
    fees      = Σ fees                        paid > 0
    slippage  = Σ_i q_i·(p_i − r_i)           paid beyond the reference price > 0; zero for makers

    static + timing + basis + funding − fees − slippage = hedge PnL

Why it holds: Σ_i q_i·(M_end − p_i) is the price PnL of the fills. Split each fill at its bar's close: q(M_end − M_b) summed over fills is
Σ_t F_{t−1}·ΔM_t, since F is the running sum of q; and ΔM = ΔP + Δ(M − P). The rest, q(M_b − p) = q(M_b − L_b) + q(L_b − r) − q(p − r).
Each term is computed from its own data and none as a remainder, so that the identity is a check of the run's bookkeeping.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from alpha_pulse.backtest.bars import BarFills, Bars
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.errors import Fatal

CENT = Decimal("0.01")
SIGNS = {"static": 1, "timing": 1, "basis": 1, "funding": 1, "fees": -1, "slippage": -1}
_BOOKED = frozenset({"funding", "fees"})


@dataclass(frozen=True, slots=True)
class Attribution:
    """The terms, unrounded, in quote units. Signs as in the module's identity: ``fees`` and ``slippage`` > 0 are paid."""

    static: float
    timing: float
    basis: float
    funding: float
    fees: float
    slippage: float
    hedge_pnl: float

    def cents(self) -> dict[str, Decimal]:
        """The terms as shown: whole cents that add up exactly to the shown ``hedge_pnl``.

        Booked terms (fees, funding) are only rounded. A cent that is then over goes to the other term that rounding moved
        furthest the other way.
        """
        exact = {name: Decimal(repr(value)) for name, value in asdict(self).items()}
        shown = {name: value.quantize(CENT, ROUND_HALF_EVEN) + ZERO for name, value in exact.items()}
        over = int((shown["hedge_pnl"] - sum(sign * shown[name] for name, sign in SIGNS.items())) / CENT)
        step = CENT if over > 0 else -CENT
        for _ in range(abs(over)):
            name = max((n for n in SIGNS if n not in _BOOKED), key=lambda n: ((exact[n] - shown[n]) * SIGNS[n] / step, n))
            shown[name] += step * SIGNS[name]
        return shown


def attribute(record: RunRecord, bars: Bars | None = None) -> Attribution:
    """Compute every term and check that they add up.

    Raises:
        ConfigError: the run holds no bar.
        Fatal: the record contradicts itself: fills, funding and fees do not explain the account's profit or loss to the cent.
    """
    bars = bars or Bars.of(record)
    fills = BarFills.of(record, bars)
    held = fills.position[:-1]
    d_spot = np.diff(bars.spot)
    average = bars.average(fills.position)
    at_last, at_mark = bars.last[fills.row], bars.mark[fills.row]
    result = Attribution(
        static=average * float(bars.spot[-1] - bars.spot[0]),
        timing=float(((held - average) * d_spot).sum() + (fills.quantity * (at_last - fills.reference)).sum()),
        basis=float((held * (np.diff(bars.mark) - d_spot)).sum() + (fills.quantity * (at_mark - at_last)).sum()),
        funding=float(sum((p.amount for p in record.funding), ZERO)),
        fees=float(sum((f.fee for f in record.fills), ZERO)),
        slippage=float(sum((f.side.sign * f.quantity * (f.price - f.reference_price) for f in record.fills), ZERO)),
        hedge_pnl=float(bars.wallet[-1] + bars.unrealized[-1]) - float(record.initial_wallet),
    )
    _check(result, scale=float((np.abs(fills.quantity) * fills.price).sum()) + abs(float(record.initial_wallet)))
    return result


def _check(result: Attribution, scale: float) -> None:
    explained = sum(sign * float(getattr(result, name)) for name, sign in SIGNS.items())
    # Half a cent, or what doubles can hold where the sums are huge.
    if not abs(explained - result.hedge_pnl) <= max(0.005, 1e-11 * scale):
        raise Fatal(
            f"the account made {result.hedge_pnl:.4f} but its fills, funding and fees explain {explained:.4f}: "
            "a booking is missing or doubled"
        )

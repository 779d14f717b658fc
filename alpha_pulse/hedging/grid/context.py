"""What a decision sees beside its own market and account: advice, and the other pairs of the process."""

from __future__ import annotations

from alpha_pulse.domain.events import Event, EventKind, to_jsonable
from alpha_pulse.hedging.common.advice import Advice, Advisor, HedgeView, RiskFigures
from alpha_pulse.hedging.common.portfolio import PortfolioView
from alpha_pulse.hedging.common.types import Assessment, Snapshot
from alpha_pulse.hedging.risk.portfolio import PortfolioBook


class Context:
    """Asks and tells around a tick. Nothing here waits: advice comes when it comes."""

    def __init__(self, advisor: Advisor | None, book: PortfolioBook | None, max_leverage: float) -> None:
        self._advisor = advisor
        self._book = book
        self._max_leverage = max_leverage

    def advice(self, now_ms: int) -> Advice | None:
        """The advice in force."""
        return None if self._advisor is None else self._advisor.latest(now_ms)

    def portfolio(self) -> PortfolioView | None:
        """The other pairs as they last reported."""
        return None if self._book is None else self._book.view()

    def tell(self, snapshot: Snapshot, assessment: Assessment, neutral_size: float) -> None:
        """After a decision: the other pairs learn of it, and the advisor may start to think."""
        if self._book is not None:
            self._book.report(snapshot, assessment, neutral_size)
        if self._advisor is not None:
            self._advisor.consider(hedge_view(snapshot, assessment, self._max_leverage), snapshot.market.now_ms)

    def resumed(self) -> None:
        """The user resumed: the drawdown of all pairs together counts from here."""
        if self._book is not None:
            self._book.forgive()

    def events(self, tick_id: str, now_ms: int) -> list[Event]:
        """Advice that came in, accepted or refused, with prompt and answer, for the record."""
        if self._advisor is None:
            return []
        return [Event(EventKind.ADVICE, now_ms, tick_id, to_jsonable(advice)) for advice in self._advisor.drain()]

    async def close(self) -> None:
        """Stop asking."""
        if self._advisor is not None:
            await self._advisor.close()


def hedge_view(snapshot: Snapshot, assessment: Assessment, max_leverage: float) -> HedgeView:
    """A snapshot as an analyzer reads it. The floor is the one without advice, so that advice never feeds on itself."""
    account, instrument, market = snapshot.account, snapshot.instrument, snapshot.market
    mark = market.raw.mark.close
    quantity = float(account.position.quantity)
    asked = [step.after for step in assessment.target.contributions if step.name in {"inventory risk", "VaR floor", "portfolio VaR"}]
    return HedgeView(
        symbol=instrument.symbol,
        inventory=float(snapshot.inventory),
        perpetual=quantity,
        price=mark,
        wallet=float(account.wallet),
        entry_price=float(account.position.entry_price),
        initial_margin_rate=1.0 / float(account.leverage_limit),
        maintenance_margin_rate=float(instrument.tier(abs(quantity) * mark).maintenance_rate),
        max_leverage=min(max_leverage, float(account.leverage_limit)),
        base=instrument.base,
        quote=instrument.quote,
        figures=RiskFigures(
            ratio=assessment.target.ratio,
            floor=max(asked, default=0.0),
            volatility_day=market.volatility_day,
            funding_annual=market.indicators.funding_annual,
            drawdown=max(0.0, assessment.drawdown),
            liquidation_distance=assessment.liquidation_distance,
        ),
    )

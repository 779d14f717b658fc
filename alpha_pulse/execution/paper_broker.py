"""The paper broker: a venue in this process, on any market feed, that fills orders by the matching engine."""

from __future__ import annotations

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.desk import Desk
from alpha_pulse.execution.feed_broker import FeedBroker
from alpha_pulse.execution.journal import PaperJournal
from alpha_pulse.execution.matching import MatchingEngine, MatchingRules, Wallet
from alpha_pulse.hedging.common.interfaces import Clock, IdSource, MarketFeed
from alpha_pulse.hedging.common.types import BrokerCapabilities


class PaperBroker(FeedBroker):
    """Trades on paper: real or made-up prices, simulated fills, fees, funding, margin and liquidation.

    Paper mode and backtests both run on it. ``broker.feed`` is the given feed behind the matching engine: read the market from
    there, or nothing ever fills.
    """

    def __init__(
        self,
        settings: PaperSettings,
        feed: MarketFeed,
        clock: Clock,
        ids: IdSource,
        *,
        account: str = "paper",
        journal: PaperJournal | None = None,
    ) -> None:
        capabilities = BrokerCapabilities(executes=True, dead_man_switch=False, simulated=True)
        super().__init__(settings, feed, clock, ids, account=account, capabilities=capabilities, journal=journal)
        self._rules = MatchingRules(
            fill_rule=settings.fill_rule,
            queue_share=settings.queue_share,
            slippage_bps=settings.slippage_bps,
            leverage=settings.leverage,
        )

    def _open_desk(self, instrument: Instrument, wallet: Wallet) -> Desk:
        return MatchingEngine(instrument, wallet, self._rules)

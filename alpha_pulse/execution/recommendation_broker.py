"""The recommendation broker: every approved order becomes a ticket for a person. It sends nothing, ever."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from loguru import logger

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.errors import Rejected
from alpha_pulse.execution.config import PaperSettings, TicketSettings
from alpha_pulse.execution.desk import Desk
from alpha_pulse.execution.feed_broker import FeedBroker
from alpha_pulse.execution.journal import PaperJournal
from alpha_pulse.execution.matching import Wallet
from alpha_pulse.execution.ticket_desk import TicketDesk
from alpha_pulse.execution.tickets import Ticket
from alpha_pulse.hedging.common.interfaces import Clock, Command, IdSource, MarketFeed
from alpha_pulse.hedging.common.types import BrokerCapabilities

VERDICTS = ("accept", "reject", "done")


class RecommendationBroker(FeedBroker):
    """Recommends on any feed. Live tickets are its open orders; reported fills make its position.

    Verdicts reach it through ``apply``; what changed on tickets leaves it through ``drain_events``, for the bot's store.
    """

    def __init__(
        self,
        settings: PaperSettings,
        feed: MarketFeed,
        clock: Clock,
        ids: IdSource,
        *,
        tickets: TicketSettings | None = None,
        account: str = "recommendation",
        journal: PaperJournal | None = None,
    ) -> None:
        capabilities = BrokerCapabilities(executes=False, dead_man_switch=False, simulated=True)
        super().__init__(settings, feed, clock, ids, account=account, capabilities=capabilities, journal=journal)
        self._tickets = tickets if tickets is not None else TicketSettings()
        self._desks: list[TicketDesk] = []
        self._alerts: list[Event] = []

    def _open_desk(self, instrument: Instrument, wallet: Wallet) -> Desk:
        desk = TicketDesk(instrument, wallet, self._tickets, self.settings.slippage_bps, self.clock)
        self._desks.append(desk)
        return desk

    def tickets(self) -> tuple[Ticket, ...]:
        """Every ticket that is remembered, oldest first."""
        return tuple(ticket for desk in self._desks for ticket in desk.tickets.values())

    async def apply(self, command: Command) -> None:
        """Carry out a verdict: ``accept ID``, ``reject ID`` or ``done ID [PRICE [QUANTITY]]``.

        One that cannot be carried out (unknown ticket, not a number, done already) changes nothing; it is logged and told as an
        ALERT event, because whoever typed it sits at another process. Raises ``AmbiguousOutcome`` when the journal fails.
        """
        words = command.argument.split()
        try:
            self._carry_out(command.name, words)
        except Rejected as refusal:
            reason = f"{command.name} {command.argument}: {refusal.reason}"
            logger.bind(account=self.account).warning(reason)
            self._alerts.append(Event(EventKind.ALERT, self.clock.now_ms(), "", {"reason": reason, "command": command.id}))
            return
        await self._save_write(words[0])

    def _carry_out(self, name: str, words: list[str]) -> None:
        if name not in VERDICTS or not words:
            raise Rejected("say accept ID, reject ID or done ID [PRICE [QUANTITY]]")
        ticket_id, *numbers = words
        if len(numbers) > (2 if name == "done" else 0):
            raise Rejected("too many words")
        try:
            price, quantity = (*(Decimal(word) for word in numbers), None, None)[:2]
        except InvalidOperation:
            raise Rejected("price and quantity must be numbers") from None
        desk = next((desk for desk in self._desks if ticket_id in desk.tickets), None)
        if desk is None:
            raise Rejected(f"there is no ticket {ticket_id}")
        desk.verdict(name, ticket_id, price, quantity)

    def drain_events(self) -> list[Event]:
        """What changed on tickets since the last call, oldest first, each once. A journal keeps them until they were drained."""
        events = self._alerts
        self._alerts = []
        for desk in self._desks:
            events.extend(desk.events)
            desk.events.clear()
        return events

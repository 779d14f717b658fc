"""One pair at a real venue: what was sent, what became of it, what was traded, and whether all of that agrees with the venue."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from typing import Any, Final

from loguru import logger

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, Order, OrderRequest
from alpha_pulse.domain.position import Account
from alpha_pulse.errors import AlphaPulseError, ConfigError, Fatal, Transient
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.execution.journal import PaperJournal
from alpha_pulse.execution.live.batches import cancel_many, create_many
from alpha_pulse.execution.live.books import PairBooks
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.execution.live.orders import OrderDesk
from alpha_pulse.execution.live.rules import changes, rules_now
from alpha_pulse.execution.live.terms import Terms
from alpha_pulse.execution.live.trades import OVERLAP_MS, TradeDesk
from alpha_pulse.execution.live.voice import Voice
from alpha_pulse.execution.venues.structures import VenuePosition
from alpha_pulse.hedging.common.interfaces import Clock

_VERIFIED_EVERY: Final = 20  # reconciliations: whether the account is still set as at the start
_TRADES_EVERY: Final = 4  # reconciliations: the list of trades, where nothing disagrees and answers are shared
_DOUBTED_EVERY: Final = 4  # the same after an order was refused


class LiveDesk:
    """Orders, trades and account of one pair. ``nudge`` is called when something happened that the bot should act on at once."""

    def __init__(
        self,
        terms: Terms,
        connection: Connection,
        settings: ExchangeSettings,
        clock: Clock,
        journal: PaperJournal,
        account: str,
        nudge: Callable[[], None],
        market_now: Callable[[], MarketUpdate | None],
    ) -> None:
        self.terms = terms
        self.symbol = terms.instrument.symbol
        self.voice = Voice(self.symbol, clock, nudge)
        self.orders = OrderDesk(terms, connection, settings, clock, self.voice)
        self.books = PairBooks(terms.instrument, Decimal(settings.leverage))
        self.trades = TradeDesk(terms, connection, self.orders, self.books, self.voice, market_now)
        self.orders.act_now = self._act_now
        self.wanted = self.orders.wanted  # somebody wants a reconciliation now
        self.read_at = -1e9  # loop time of the last reconciliation in which everything agreed [s]
        self.contact_at = 0.0  # loop time at which the bot last asked for something
        self._connection = connection
        self._dialect = connection.dialect
        self._settings = settings
        self._clock = clock
        self._journal = journal
        self._account = account
        self._market_now = market_now
        self._verified_at = 0.0  # loop time at which the account's setup was last looked at; 0 = at the start
        self._trades_at = -1e9  # loop time of the last list of trades
        self._trades_every_s = _TRADES_EVERY * settings.reconcile_s
        self._disagrees_since = 0.0
        self._disagreement = ""
        self._lock = asyncio.Lock()
        self._saving = asyncio.Lock()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # --- the bot's side ---------------------------------------------------------------------------------------------
    def touch(self) -> None:
        """The bot has asked for something: it lives, also while the market is broken and it asks for its orders alone."""
        self.contact_at = self._now()

    def account(self) -> Account:
        """The account, if it can be believed.

        Raises:
            Fatal: the pair was halted: something at the venue that no record explains.
            Transient: the account was not read for too long, or does not agree with the venue yet.
        """
        self.touch()
        if self.voice.halted:
            raise Fatal(self.voice.halted)
        age = self._now() - self.read_at
        if age > self._settings.stale_after_s:
            self.wanted.set()
            raise Transient(f"the account at {self._settings.id} was last read {age:.0f} s ago")
        if self._disagreement and self._now() - self._disagrees_since > min(2.0, self._settings.unexplained_after_s / 2):
            self.wanted.set()
            raise Transient(self._disagreement)
        return self.books.account()

    async def create(self, request: OrderRequest) -> Order:
        """Send an order once. Raises ``Rejected``, ``AmbiguousOutcome`` or ``Fatal``."""
        self.trades.mark_sent(request)
        return await self.orders.create(request)

    async def create_many(self, requests: Sequence[OrderRequest]) -> list[Order | AlphaPulseError]:
        """Send several limit orders, in as few requests as the venue allows; what came of each. Raises ``Fatal``."""
        for request in requests:
            self.trades.mark_sent(request)
        return await create_many(self.orders, self._connection, requests)

    async def cancel_many(self, client_order_ids: Sequence[str]) -> list[AlphaPulseError | None]:
        """Cancel several orders; None for each that is gone."""
        return await cancel_many(self.orders, self._connection, self.symbol, client_order_ids)

    async def fills(self, already: int) -> Sequence[Fill]:
        """Journalled fills, without the first ``already``."""
        await self.save()
        return self.books.fills[already:]

    def _act_now(self) -> None:
        """Have the bot look at its orders at once, whether or not it is due: it does so for an account that it has not seen."""
        self.books.show_anew()
        self.voice.nudge()

    # --- the venue's side -------------------------------------------------------------------------------------------
    def on_order(self, structure: Mapping[str, Any]) -> None:
        """News of an order from the stream; what cannot be read is left to the next reconciliation."""
        try:
            found = self.orders.read(structure)
        except ValueError as error:
            logger.debug("Unreadable order news: {}", error)
            self.wanted.set()
            return
        if self.orders.is_ours(found.client_order_id):
            self.orders.took(found, found.client_order_id)

    def on_trade(self, structure: Mapping[str, Any]) -> None:
        """A trade from the stream. One whose order is not known yet is left to the next reconciliation."""
        try:
            trade = self.trades.read(structure)
        except ValueError as error:
            logger.debug("Unreadable trade news: {}", error)
            self.wanted.set()
            return
        new = self.trades.take(trade)
        if new is None:
            self.wanted.set()
        elif new:
            self.voice.nudge()

    # --- reconciliation ---------------------------------------------------------------------------------------------
    async def reconcile(self, *, share_s: float = 0.0) -> bool:
        """Read everything and compare; whether all of it agrees. Raises ``Transient`` or ``Fatal`` where it cannot be read.

        With ``share_s`` what another pair has read of the account in that time [s] will do, as long as nothing was booked since, and the
        list of trades is read only now and then: a trade that nobody told of shows in the position.
        """
        async with self._lock:
            self.wanted.clear()
            asked_at = self._now()
            try:
                agreed = await self._read_all(asked_at, share_s)
            except ValueError as error:
                raise Transient(f"an unreadable answer: {error}") from error
            if agreed:
                self.read_at = asked_at
            await self._verify_setup()
            await self.save()
            return agreed

    async def _read_all(self, asked_at: float, share_s: float) -> bool:
        """The wallet and the position first: what was traded until then is listed afterwards."""
        asked_ms = self._connection.venue_ms()
        after = max(asked_at - share_s, self.trades.booked_at) if share_s else asked_at
        balance_at, balance = await self._connection.balance(after=after)
        cash = self._dialect.wallet_of(balance, self.terms.instrument.quote)
        position_at, position = await self._read_position(after)
        await self.orders.read_all(asked_at)
        trades_due = not share_s or position.quantity != self.books.ledger.quantity or asked_at - self._trades_at >= self._trades_every_s
        if not self.books.opened_ms:
            if not await self._begin(position, asked_ms):
                return False
        else:
            if trades_due:
                await self.trades.read_trades(asked_ms)
                self._trades_at = asked_at
            await self.trades.read_funding(asked_ms, after=balance_at)
        self._note_leverage(position.leverage)
        await self._take_wallet(cash * self.terms.share, balance_at, asked_ms)
        if self.trades.booked_at > position_at and self.books.ledger.quantity != position.quantity:
            self.wanted.set()  # something was traded meanwhile: the numbers are of different moments
            return False
        agreed = self._compare(position.quantity)
        if agreed and trades_due:  # else a list of trades may have ended too early: the next reading begins where this one did
            self.books.read_until_ms = max(self.books.read_until_ms, asked_ms)
        return agreed

    async def _take_wallet(self, cash: Decimal, asked_at: float, asked_ms: int) -> None:
        """The pair's part of the wallet, unless something was booked since it was asked for."""
        if self.trades.booked_at >= asked_at:
            return
        known = not self.books.opened_ms or not self.books.unexplained(cash)
        if not known and not await self.trades.read_funding(asked_ms, now=True, after=asked_at):
            return  # whether funding explains it is not known yet
        if self.trades.booked_at < asked_at:
            self.books.wallet_is(cash)

    async def _read_position(self, after: float = math.inf) -> tuple[float, VenuePosition]:
        """When it was asked for, and the position. Raises ``ValueError`` where it cannot be believed."""
        at, rows = await self._connection.position(self.symbol, after=after)
        market = self._connection.rest.markets[self.symbol]
        return at, self._dialect.position_of(rows, market["symbol"], market, self._connection.hedge_mode, self.terms.inventory_sign)

    async def _begin(self, position: VenuePosition, asked_ms: int) -> bool:
        """Open the books on the position as it is, if nothing moved while it was read."""
        traded = [str(row["id"]) for row in await self._connection.trades(self.symbol, asked_ms - OVERLAP_MS, asked_ms)]
        _, again = await self._read_position()
        if again.quantity != position.quantity:
            self.wanted.set()
            return False
        self.books.adopt(position.quantity, position.entry_price or ZERO, traded, asked_ms)
        if position.quantity:
            logger.bind(symbol=self.symbol).info("A position of {} was there before: it counts as the hedge", position.quantity)
        return True

    def _compare(self, venue: Decimal) -> bool:
        ours = self.books.ledger.quantity
        if ours == venue:
            self._disagreement = ""
            return True
        now = self._now()
        if not self._disagreement:
            self._disagrees_since = now
        self._disagreement = f"the venue says a position of {venue} {self.terms.instrument.base}, the trades add up to {ours}"
        self.wanted.set()
        if now - self._disagrees_since <= self._settings.unexplained_after_s:
            return False
        what = f"{self._disagreement}, and no trade explains it after {now - self._disagrees_since:.0f} s"
        if self._settings.unexplained == "adopt":
            self.trades.adopt_difference(venue - ours)
            self.voice.say(f"unexplained {venue}", f"{what}. It is taken over as it is, booked at mark", "critical")
            self.wanted.set()
        else:
            self.voice.halt(
                f"{what}. Compare the venue's trade history with `alpha-pulse status`; to take the position over as it is, start once "
                "with exchange.unexplained: adopt; then `alpha-pulse resume`"
            )
        return False

    def _note_leverage(self, leverage: Decimal | None) -> None:
        if leverage is None or leverage == self.books.leverage:
            return
        if leverage > self._settings.max_leverage:
            self.voice.halt(
                f"the venue's leverage was changed to {leverage}, above exchange.max_leverage "
                f"{self._settings.max_leverage}. Set it back at the venue, then start again and `alpha-pulse resume`"
            )
            return
        self.voice.say(
            f"leverage {leverage}", f"The venue's leverage was changed to {leverage} (was {self.books.leverage}): it is used from now on"
        )
        self.books.re_lever(leverage)

    def doubt_setup(self) -> None:
        """Somebody may have changed leverage or modes: look at once."""
        self._verified_at = -1e9
        self.wanted.set()

    async def _verify_setup(self) -> None:
        """Whether the account is still set as at the start: leverage and modes can be changed outside. Raises ``Fatal``."""
        now = self._now()
        self._verified_at = self._verified_at or now
        wait = self._settings.reconcile_s * (_DOUBTED_EVERY if self.orders.doubted else _VERIFIED_EVERY)
        if now - self._verified_at < wait:
            return
        self.orders.doubted, self._verified_at = False, now
        try:
            found = await self._connection.read(lambda: self._dialect.read_setup(self._connection.rest, self.symbol))
        except (Transient, ValueError) as error:
            logger.debug("{}: the setup of the account cannot be read: {}", self.symbol, error)
            return
        if found.hedge_mode not in {None, self._connection.hedge_mode}:
            self.voice.halt(
                f"the position mode was changed to {'hedge' if found.hedge_mode else 'one-way'} mode, in which no order of ours is right. "
                "Set it back at the venue, then start again and `alpha-pulse resume`"
            )
        if found.margin_mode not in {None, self._settings.margin_mode}:
            self.voice.say(f"margin mode {found.margin_mode}", f"The venue's margin mode was changed to {found.margin_mode}: set it back")
        self._note_leverage(None if found.leverage is None else Decimal(found.leverage))
        await self._verify_rules()

    async def _verify_rules(self) -> None:
        """Trading rules change while a bot runs, and then every order of the old ones is refused."""
        known, update = self.terms.instrument, self._market_now()
        if update is None:
            return
        after = self._now() - self._settings.reconcile_s
        try:
            found = await rules_now(self._connection, self.terms.pair, known, price=update.mark.close, after=after)
        except Transient as error:
            logger.debug("{}: the trading rules cannot be read: {}", self.symbol, error)
            return
        except ConfigError as error:
            self.voice.halt(f"{error} Close the position at the venue, or hedge with another contract")
            return
        if changed := changes(known, found):
            if found.contract_size != known.contract_size:
                self.voice.halt(f"the venue changed the contract: {changed}. Look at the position there, then start again and `resume`")
                return
            self.voice.say(f"rules {changed}", f"The venue changed its trading rules: {changed}. The grid follows")
            self.terms.instrument = found
            self.books.relist(found)
            self._act_now()

    # --- memory -----------------------------------------------------------------------------------------------------
    async def load(self) -> None:
        """Go on from the journal."""
        state = self.books.restore(await self._journal.load(self._account))
        self.orders.tracker.restore((str(venue), str(ours)) for venue, ours in state.get("links", ()))

    async def save(self) -> None:
        """Journal what is new. Nothing counts as booked for the bot before that. Raises ``Transient`` or ``Fatal``."""
        async with self._saving:
            if not self.books.changed:
                return
            self.books.changed = False
            state = {**self.books.state(), "links": [list(link) for link in self.orders.tracker.links()]}
            fills, funding = self.books.unsaved()
            counts = len(self.books.fills), len(self.books.funding)
            with ExitStack() as undo:
                undo.callback(self.books.touch)
                await self._journal.save(self._account, state, fills, funding)
                undo.pop_all()
            self.books.saved(*counts)

    async def close(self) -> None:
        """Stop asking."""
        await self.orders.close()

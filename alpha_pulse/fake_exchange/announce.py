"""What the venue tells its streams, and which frames follow from what happened."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from alpha_pulse.fake_exchange import streams
from alpha_pulse.fake_exchange.announce_private import PrivateAnnouncer
from alpha_pulse.fake_exchange.market import SymbolMarket
from alpha_pulse.fake_exchange.records import ZERO

if TYPE_CHECKING:
    from alpha_pulse.fake_exchange.venue import Venue

Levels = dict[Decimal, Decimal]


class Announcer(PrivateAnnouncer):
    """Builds frames and hands them to the publisher, if there is one."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._books: dict[str, tuple[int, Levels, Levels]] = {}  # stream symbol -> (update id, bids, asks) last sent

    def _market(self, stream: str, payload: dict[str, Any]) -> None:
        if self.publisher is not None:
            self.publisher.market(stream, payload)

    # --- public -------------------------------------------------------------------------------------------------------
    def price(self, market: SymbolMarket) -> None:
        """Prices changed: quotes, a trade, mark and the book."""
        if self.publisher is None:
            return
        now, name = self.venue.now_ms(), market.name.lower()
        market.trade_id += 1
        print_: dict[str, Any] = {
            "event_ms": now,
            "symbol": market.name,
            "trade_id": market.trade_id,
            "price": market.last,
            "quantity": market.listed.lot_size,
        }
        self._market(f"{name}@bookTicker", self._book_ticker(market))
        self._market(f"{name}@trade", streams.trade(**print_))
        self._market(f"{name}@aggTrade", streams.agg_trade(**print_))
        for kind in ("miniTicker", "ticker"):
            self._market(f"{name}@{kind}", self._day(market, kind))
        self.mark(market)
        self._depth(market)
        self._spot(market)

    def mark(self, market: SymbolMarket) -> None:
        """The mark price and funding stream."""
        self._market(f"{market.name.lower()}@markPrice@1s", self._mark(market))

    def snapshot(self, stream: str) -> dict[str, Any] | None:
        """The present state as a frame of a public stream, where the stream has one."""
        symbol, _, kind = stream.removeprefix("spot/").partition("@")
        if stream.startswith("spot/"):
            listed = self.venue.by_spot_name.get(symbol.upper())
            return self._spot_ticker(listed) if listed is not None and kind == "bookTicker" else None
        market = self.venue.markets.get(symbol.upper())
        if market is None:
            return None
        if kind == "bookTicker":
            return self._book_ticker(market)
        if kind.startswith("markPrice"):
            return self._mark(market)
        return self._day(market, kind) if kind in {"miniTicker", "ticker"} else None

    def _book_ticker(self, market: SymbolMarket) -> dict[str, Any]:
        (bid, ask) = (levels[0] for levels in market.book(1))
        return streams.book_ticker(
            event_ms=self.venue.now_ms(),
            symbol=market.name,
            update_id=market.update_id,
            bid=bid[0],
            bid_quantity=bid[1],
            ask=ask[0],
            ask_quantity=ask[1],
        )

    def _mark(self, market: SymbolMarket) -> dict[str, Any]:
        return streams.mark_price(
            event_ms=self.venue.now_ms(),
            symbol=market.name,
            mark=market.mark,
            index=market.index,
            funding_rate=market.funding_rate,
            next_funding_ms=market.next_funding_ms,
        )

    def _day(self, market: SymbolMarket, kind: str) -> dict[str, Any]:
        numbers: dict[str, Any] = {
            "event_ms": self.venue.now_ms(),
            "symbol": market.name,
            "last": market.last,
            "opening": market.first_price,
            "high": max(market.first_price, market.last),
            "low": min(market.first_price, market.last),
            "volume": market.volume,
            "quote_volume": market.volume * market.last,
        }
        return streams.mini_ticker(**numbers) if kind == "miniTicker" else streams.ticker(last_quantity=market.listed.lot_size, **numbers)

    def _spot(self, market: SymbolMarket) -> None:
        name, moment = f"spot/{market.spot_name.lower()}", self.venue.now_ms()
        if market.spot_status == "TRADING":
            self._market(f"{name}@bookTicker", self._spot_ticker(market))
            print_: dict[str, Any] = {"event_ms": moment, "symbol": market.spot_name, "price": market.spot, "quantity": market.spot_lot}
            self._market(f"{name}@trade", streams.trade(trade_id=market.trade_id, spot=True, **print_))
            self._market(f"{name}@aggTrade", streams.agg_trade(trade_id=market.trade_id, **print_))

    def _spot_ticker(self, market: SymbolMarket) -> dict[str, Any]:
        return streams.book_ticker(
            event_ms=self.venue.now_ms(),
            symbol=market.spot_name,
            update_id=market.update_id,
            bid=market.spot_bid,
            bid_quantity=market.spot_lot * 100,
            ask=market.spot_ask,
            ask_quantity=market.spot_lot * 100,
            spot=True,
        )

    def _depth(self, market: SymbolMarket) -> None:
        bids, asks = (dict(side) for side in market.book())
        sent, old_bids, old_asks = self._books.get(market.name, (market.update_id - 1, {}, {}))
        self._books[market.name] = (market.update_id, bids, asks)
        frame = streams.depth_diff(
            event_ms=self.venue.now_ms(),
            symbol=market.name,
            first_id=sent + 1,
            last_id=market.update_id,
            previous_id=sent,
            bids=_changes(old_bids, bids),
            asks=_changes(old_asks, asks),
        )
        self._market(f"{market.name.lower()}@depth@100ms", frame)


def _changes(before: Levels, now: Levels) -> list[tuple[Decimal, Decimal]]:
    """Levels that are new, differ, or are gone (quantity 0)."""
    gone = [(price, ZERO) for price in before if price not in now]
    return gone + [(price, quantity) for price, quantity in now.items() if before.get(price) != quantity]

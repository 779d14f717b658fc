"""What the venue tells an account's own streams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from alpha_pulse.fake_exchange import streams
from alpha_pulse.fake_exchange.records import ZERO, AlgoOrder, Trade, VenueOrder
from alpha_pulse.fake_exchange.streams import BalanceChange, PositionChange

if TYPE_CHECKING:
    from alpha_pulse.fake_exchange.account import FakeAccount
    from alpha_pulse.fake_exchange.desk import Desk
    from alpha_pulse.fake_exchange.venue import Publisher, Venue


class PrivateAnnouncer:
    """Builds the frames of user data streams and hands them to the publisher, if there is one."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.publisher: Publisher | None = None

    def _private(self, account: FakeAccount, payload: dict[str, Any], kind: str = "futures") -> None:
        if self.publisher is not None:
            self.publisher.private(account.key, payload, kind)

    # --- private, futures ---------------------------------------------------------------------------------------------
    def order(self, account: FakeAccount, order: VenueOrder, execution: str, trade: Trade | None = None) -> None:
        """An order was accepted, changed, filled or ended."""
        frame = streams.order_trade_update(
            event_ms=self.venue.now_ms(),
            client_order_id=order.client_id,
            execution=execution,
            average_price=order.average,
            stop_price=order.stop_price,
            reduce_only=order.reduce_only,
            close_position=order.close_position,
            working_type=order.working_type,
            original_type=order.orig_type or None,
            position_side=order.position_side,
            realized_profit=ZERO if trade is None else trade.realized,
            **_stated(order),
            **_filled(trade),
        )
        self._private(account, frame)

    def algo(self, account: FakeAccount, algo: AlgoOrder) -> None:
        """A conditional order was accepted, triggered or ended."""
        actual = algo.actual
        self._private(
            account,
            streams.algo_update(
                event_ms=self.venue.now_ms(),
                symbol=algo.symbol,
                client_algo_id=algo.client_id,
                algo_id=algo.algo_id,
                side=algo.side,
                order_type=algo.type,
                status=algo.status,
                quantity=algo.quantity,
                trigger_price=algo.trigger_price,
                price=algo.price,
                order_id=None if actual is None else actual.order_id,
                average_price=ZERO if actual is None else actual.average,
                filled=ZERO if actual is None else actual.filled,
                actual_type="" if actual is None else actual.type,
                position_side=algo.position_side,
                time_in_force=algo.time_in_force,
                working_type=algo.working_type,
                close_position=algo.close_position,
                price_protect=algo.price_protect,
                reduce_only=algo.reduce_only,
                trigger_ms=algo.triggered_ms,
                reason=algo.reason,
            ),
        )

    def account(
        self, account: FakeAccount, reason: str, desks: Iterable[Desk], assets: Iterable[str], changes: Mapping[str, Decimal] | None = None
    ) -> None:
        """Wallets and positions that something changed."""
        moved = changes or {}
        balances = [BalanceChange(asset, account.balance(asset), change=moved.get(asset, ZERO)) for asset in sorted(assets)]
        positions = [
            PositionChange(
                desk.market.name,
                desk.quantity,
                desk.entry,
                unrealized=desk.unrealized,
                realized=desk.engine.ledger.realized,
                side=desk.side,
                margin_asset=desk.engine.instrument.quote,
            )
            for desk in desks
        ]
        self._private(account, streams.account_update(event_ms=self.venue.now_ms(), reason=reason, balances=balances, positions=positions))

    def leverage(self, account: FakeAccount, symbol: str, leverage: int) -> None:
        """A symbol's leverage was changed."""
        self._private(account, streams.account_config_update(event_ms=self.venue.now_ms(), symbol=symbol, leverage=leverage))

    def listen_key_expired(self, account: FakeAccount, key: str) -> None:
        """The user data stream ends."""
        self._private(account, streams.listen_key_expired(event_ms=self.venue.now_ms(), listen_key=key))

    # --- private, spot ------------------------------------------------------------------------------------------------
    def spot_order(self, account: FakeAccount, order: VenueOrder, execution: str, trade: Trade | None = None) -> None:
        """A spot order was accepted, filled or ended."""
        cancelled = execution == "CANCELED"
        frame = streams.execution_report(
            event_ms=self.venue.now_ms(),
            client_order_id=f"cancel_{order.order_id}" if cancelled else order.client_id,
            original_client_order_id=order.client_id if cancelled else "",
            execution=execution,
            filled_quote=order.quote_filled,
            created_ms=order.created_ms,
            on_book=order.is_open,
            last_quote=ZERO if trade is None else trade.quote,
            **_stated(order),
            **_filled(trade),
        )
        self._private(account, frame, "spot")

    def spot_balances(self, account: FakeAccount, assets: Iterable[str]) -> None:
        """Spot balances that something changed."""
        rows = [(asset, account.spot.free(asset), account.spot.locked.get(asset, ZERO)) for asset in sorted(assets)]
        self._private(account, streams.outbound_account_position(event_ms=self.venue.now_ms(), balances=rows), "spot")


def _stated(order: VenueOrder) -> dict[str, Any]:
    """What the frames of futures and of spot say alike of an order."""
    return {
        "symbol": order.symbol,
        "order_id": order.order_id,
        "side": order.side,
        "order_type": order.type,
        "status": order.status,
        "quantity": order.quantity,
        "price": order.price,
        "time_in_force": order.time_in_force,
        "filled": order.filled,
    }


def _filled(trade: Trade | None) -> dict[str, Any]:
    """What both say of a fill; nothing where there was none."""
    if trade is None:
        return {}
    return {
        "last_quantity": trade.quantity,
        "last_price": trade.price,
        "fee": trade.commission,
        "fee_asset": trade.commission_asset,
        "trade_id": trade.id,
        "maker": trade.maker,
    }

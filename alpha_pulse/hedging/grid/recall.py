"""What a bot starts with: the memory of an earlier run in the light of today's settings, and whether the market can be traded with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loguru import logger

from alpha_pulse.domain.orders import Order, OrderRequest
from alpha_pulse.errors import ConfigError, Fatal
from alpha_pulse.hedging.common.order_ids import read_order_id
from alpha_pulse.hedging.common.types import BotState, Snapshot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.parts import settings_digest
from alpha_pulse.hedging.grid.preflight import check_against_instrument


def recall(remembered: BotState | None, config: BotConfig) -> BotState:
    """The memory to go on with. Changed settings take effect at once: hysteresis starts anew, latches and anchor stay."""
    digest, entry = settings_digest(config), config.inventory.entry_price
    state = BotState(settings_digest=digest) if remembered is None else remembered
    if entry is not None and state.inventory_entry_price != entry:
        state = replace(state, inventory_entry_price=entry)
    if state.settings_digest == digest:
        return state
    logger.info("The settings changed since the last run: ratio and spacing are set anew")
    return replace(state, settings_digest=digest, target=None, rejected=())


def refuse_twin(ours: Sequence[Order], state: BotState, tag: str) -> None:
    """Orders with our name that this memory never gave out: somebody else hedges the same pair on the same account.

    Raises:
        Fatal: naming one of them.
    """
    for order in ours:
        name = read_order_id(tag, order.client_order_id)
        if name is not None and name.generation > state.generation:
            raise Fatal(
                f"order {order.client_order_id} carries this bot's name and was not placed by it: another bot trades "
                f"{order.request.symbol} on this account, or this one lost its database. Stop the other one, or cancel these orders at "
                "the venue, or give exchange.account a name of its own"
            )


def with_unsettled(state: BotState, intended: Sequence[OrderRequest], ours: Sequence[Order]) -> BotState:
    """Orders that an earlier run meant to send, and of which nobody recorded what became, count as live until the venue has told."""
    known = {order.client_order_id for order in ours} | {request.client_order_id for request in state.unknown}
    lost = tuple(request for request in intended if request.client_order_id not in known)
    return replace(state, unknown=(*state.unknown, *lost)) if lost else state


def preflight(config: BotConfig, snapshot: Snapshot, *, multiplier: int, hedging: bool) -> None:
    """Refuse settings that this market cannot trade; with a hedge on already (or orders of ours: ``hedging``), say so and go on.

    Raises:
        ConfigError: naming field, value and fix of everything that is wrong.
    """
    try:
        price, coins = snapshot.market.raw.mark.close, snapshot.inventory * multiplier
        check_against_instrument(config, snapshot.instrument, price, multiplier=multiplier, found=coins)
    except ConfigError as error:
        if snapshot.account.position.quantity == 0 and not hedging:
            raise
        logger.warning("These settings no longer fit the market, the hedge goes on as well as they allow: {}", error)

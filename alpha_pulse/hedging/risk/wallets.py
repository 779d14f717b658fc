"""The account in floats, as every rule of risk reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alpha_pulse.hedging.common.types import RiskMemory, Snapshot


@dataclass(frozen=True, slots=True)
class Wallets:
    """One snapshot's holdings. Quote and base units."""

    inventory: float
    position: float
    wallet: float
    entry: float
    mark: float
    equity: float  # wallet + unrealised PnL of the perpetual
    value: float  # inventory at spot (index while spot is out)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Wallets:
        """Read a snapshot."""
        account, mark = snapshot.account, snapshot.market.raw.mark.close
        inventory, position = float(snapshot.inventory), float(account.position.quantity)
        wallet, entry = float(account.wallet), float(account.position.entry_price)
        equity = wallet + position * (mark - entry)
        return cls(inventory, position, wallet, entry, mark, equity, inventory * snapshot.market.reference)

    def nav(self, memory: RiskMemory) -> float:
        """Net worth: perpetual wallet, unrealised PnL and coins, less what a short inventory was worth when it was taken on."""
        return self.equity + self.value - memory.debt


def account_for_flows(snapshot: Snapshot, view: Wallets) -> RiskMemory:
    """Moving coins or cash is neither profit nor loss: the high-water mark moves with the NAV, so that drawdown stays what it was.

    The mark is scaled as a fund's is when units are bought or redeemed: hwm·NAV/(NAV − flow). Coins owed are a debt whose
    proceeds lie elsewhere: more of them raise the debt, not the NAV.
    """
    memory, deposits = snapshot.state.risk, snapshot.account.deposits
    if memory.inventory is None:
        return replace(memory, inventory=snapshot.inventory, deposits=deposits, debt=min(0.0, view.value))
    if memory.inventory == snapshot.inventory and memory.deposits == deposits:
        return memory
    coins = float(snapshot.inventory - memory.inventory) * snapshot.market.reference
    flow = float(deposits - memory.deposits)
    if snapshot.inventory < 0 or memory.inventory < 0:
        memory = replace(memory, debt=min(0.0, memory.debt + coins))
    else:
        flow += coins
    nav = view.nav(memory)
    scale = nav / (nav - flow) if nav > 0.0 and nav - flow > 0.0 else 0.0  # 0: drawdown counts from here
    return replace(memory, inventory=snapshot.inventory, deposits=deposits, high_water_mark=memory.high_water_mark * scale)

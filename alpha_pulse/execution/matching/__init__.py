"""The one matching engine, pure: ``engine`` walks bars, ``kernel`` and ``margin`` hold its numbers, ``book`` and ``ledger`` its state."""

from alpha_pulse.execution.matching.book import Book, Kind, Resting
from alpha_pulse.execution.matching.engine import MatchingEngine, MatchingRules
from alpha_pulse.execution.matching.ledger import Ledger, Wallet

__all__ = ["Book", "Kind", "Ledger", "MatchingEngine", "MatchingRules", "Resting", "Wallet"]

"""Venue dialects: how our orders, ids and accounts are said to each exchange through ccxt, and how its answers are read."""

from alpha_pulse.execution.venues.dialect import Dialect as Dialect
from alpha_pulse.execution.venues.registry import dialect_for as dialect_for

"""alpha_pulse hedges a crypto inventory with a grid of limit orders on perpetual futures."""

__version__ = "0.1.0"

"""Carrying approved orders to a broker, reading positions from it."""

"""Forecasts that somebody made elsewhere, and weights that were trained elsewhere."""

"""Forecasts as they are stored: how they are cut into chunks, and which members failed."""

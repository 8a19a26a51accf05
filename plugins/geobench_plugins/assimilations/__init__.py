"""Data assimilations: recipes that turn forecasts and observations into analyses."""

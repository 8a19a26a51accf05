"""What of the recipes of entries is read by name."""

from geobench_catalog import Record

FOREIGN = "foreign"
"""The model (`use`) of a forecaster of which the forecast alone is known."""
IMPORTED = "imported"
"""Key in the recipe of a forecaster whose weights were trained elsewhere."""


def is_imported(forecaster: Record) -> bool:
    """Whether somebody made it elsewhere: the forecast alone is known, or the trained weights."""
    recipe = forecaster.recipe
    return recipe["model"].get("use") == FOREIGN or IMPORTED in recipe

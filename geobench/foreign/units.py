"""Units, however they are spelled; nothing is converted."""

import re
import unicodedata
from collections import Counter

_SECONDS = {"d": 86400, "h": 3600, "min": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DIMENSIONLESS = {"", "1", "-", "dimensionless", "unitless", "(0 - 1)"}
_SPELLED = {
    spelling: unit
    for unit, spellings in {
        "m": "metre metres meter meters",
        "d": "day days",
        "h": "hour hours hr hrs",
        "min": "mins minute minutes",
        "s": "second seconds sec secs",
        "ms": "millisecond milliseconds",
        "us": "microsecond microseconds",
        "ns": "nanosecond nanoseconds",
        "K": "kelvin",
        "Pa": "pascal pascals",
        "kg": "kilogram kilograms",
        "%": "percent",
        "degC": "degc °c celsius deg_c degree_celsius degrees_celsius degrees_c",
    }.items()
    for spelling in spellings.split()
}


def powers_of(text: str) -> frozenset[tuple[str, int]]:
    """Read the powers of a unit, however it is spelled: m/s, m s-1, m s**-1, m·s⁻¹."""
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").strip()
    if plain.lower() in _DIMENSIONLESS:
        return frozenset()
    powers: Counter[str] = Counter()
    plain = re.sub(r"\s*/\s*", " /", re.sub(r"\*\*|\^", "", plain))
    for part in re.split(r"[\s·⋅*]+|(?<!\d)\.|\.(?!\d)", plain):
        match = re.fullmatch(r"(/?)([^\W\d]+|°C|%)([+-]?\d+)?", part)
        over, symbol, power = match.groups() if match else ("", part, None)
        if symbol not in {"", "1"}:
            symbol = _SPELLED.get(symbol.lower(), symbol)
            powers[symbol] += int(power or 1) * (-1 if over else 1)
    return frozenset((symbol, power) for symbol, power in powers.items() if power)


def seconds_in(text: str) -> float | None:
    """Seconds in a unit of time; None if it is none."""
    return {powers_of(name): seconds for name, seconds in _SECONDS.items()}.get(powers_of(text))

"""Tables in a narrow terminal: columns are left out, the least important first, and named."""

from collections.abc import Callable, Sequence


def shown_columns(
    minor: Sequence[int], naming: int, fits: Callable[[Sequence[int]], bool]
) -> list[int]:
    """Return the places of the columns that are shown.

    The column with the largest number in `minor` is left out first, of equal ones the rightmost.
    The column `naming`, which names the rows, stays, and one beside it.
    """
    places = list(range(len(minor)))
    while len(places) > 2 and not fits(places):
        others = [place for place in places if place != naming]
        places.remove(max(others, key=lambda place: (minor[place], place)))
    return places


def left_out(headings: Sequence[str], width: int, others: str) -> str:
    """Say which columns are not shown; `others` are the options that print them."""
    names = [heading or "remarks" for heading in headings]
    what, them = ("column is", "it") if len(names) == 1 else ("columns are", "them")
    return (
        f"{len(names)} {what} left out in {width} characters: {', '.join(names)}. A wider "
        f"terminal shows {them}, and so does {others}."
    )

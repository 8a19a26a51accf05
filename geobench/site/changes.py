"""What changed since the last build of a site: entries that came and went, scores that moved."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geobench.errors import GeobenchError
from geobench.tables.table import Table

SCHEMA = 3
NAME = "board.json"
CELL = {"cell": ["score", "excess", "skill"], "estimate": ["value", "low", "high"]}
"""What stands in a cell of a column, and in each of the three."""

_KEPT = 20  # builds that changed something
_LISTED = 200  # scores of one build
SHOWN = 60
"""Changes of one build that a page shows."""


def document(
    title: str, boards: Sequence[tuple[str, Mapping[str, Any]]], before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return all numbers of a site, and what changed; `boards` are (page, board as JSON).

    `replaced`: the older schema of the build that this one replaces; nothing is compared with it.
    """
    now = {
        "schema_version": SCHEMA,
        "title": title,
        **CELL,
        "boards": [{"page": page, **board} for page, board in boards],
    }
    older = before["schema_version"] if before and before["schema_version"] < SCHEMA else None
    history = list(before.get("history", [])) if before else []
    if before is None or older:
        changes: list[dict[str, Any]] = []
    else:
        changes = compared(before, now)
        if changes:
            history = [changes, *history][:_KEPT]
    first = before is None or older is not None
    return {**now, "first": first, "replaced": older, "changes": changes, "history": history}


def compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List what is other in `now`: one dict for each board, entry or score that changed."""
    old, new = ({_key(board): board for board in build["boards"]} for build in (before, now))
    changes: list[dict[str, Any]] = []
    for key in dict.fromkeys([*old, *new]):
        if key not in new or key not in old:
            what = "new experiment" if key in new else "experiment removed"
            changes.append({"what": what, "experiment": (new if key in new else old)[key]["name"]})
            continue
        changes += _entries(old[key], new[key])
    return changes


def table(changes: Sequence[Mapping[str, Any]], title: str) -> Table:
    """The first changes of a build as a table."""
    rows = [
        [
            *(str(change.get(key, "")) for key in ("what", "experiment", "entry", "score")),
            *(_value(change.get(key)) for key in ("then", "now")),
        ]
        for change in changes[:SHOWN]
    ]
    caption = f"{title}: scores are means over lead times"
    return Table.of_texts(
        ["Change", "Experiment", "Entry", "Score", "Then", "Now"], rows, title=caption, align="left"
    )


def _value(value: float | str | None) -> str:
    if value is None:
        return "–"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _key(board: Mapping[str, Any]) -> str:
    return str(board["page"])


def _entries(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [{_name(row): (i, row) for i, row in enumerate(board["rows"])} for board in (old, new)]
    changes: list[dict[str, Any]] = []
    for name in dict.fromkeys([*rows[0], *rows[1]]):
        at = {"experiment": new["name"], "entry": name}
        if name not in rows[0]:
            changes.append({"what": "new entry", **at, "now": _rank(rows[1][name][1])})
        elif name not in rows[1]:
            changes.append({"what": "entry removed", **at, "then": _rank(rows[0][name][1])})
        else:
            changes += _entry(at, old, new, rows[0][name], rows[1][name])
    return changes


def _entry(
    at: dict[str, Any],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    then: tuple[int, Any],
    now: tuple[int, Any],
) -> list[dict[str, Any]]:
    pairs = [
        ("other forecast", *(row["entries"]["forecast"] for _, row in (then, now))),
        ("other rank", *(_rank(row) for _, row in (then, now))),
    ]
    changes = [{"what": w, **at, "then": a, "now": b} for w, a, b in pairs if a != b]
    scores = [_scores(board, index) for board, (index, _) in ((old, then), (new, now))]
    for name in dict.fromkeys([*scores[0], *scores[1]]):
        a, b = (means.get(name) for means in scores)
        if not _same(a, b):
            what = "new score" if a is None else "score removed" if b is None else "other score"
            changes.append({"what": what, **at, "score": name, "then": a, "now": b})
    return changes[:_LISTED]


def _rank(row: Mapping[str, Any]) -> str | None:
    """Place of a row and its rank range; None: it has none."""
    if row["rank"] is None:
        return None
    low, high = row["rank_range"]
    return f"{row['rank']} ({low} to {high})"


def _name(row: Mapping[str, Any]) -> str:
    seeds = row.get("seeds") or [row["seed"]]
    return f"{row['label']} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"


def _scores(board: Mapping[str, Any], index: int) -> dict[str, float]:
    """Mean over lead times of each score of a row, by name and version."""
    return {
        f"{column['name']} ({column['scorer']} {column['version']})": _mean(
            [score[0] for score, *_ in column["cells"][index]]
        )
        for column in board["columns"]
    }


def _mean(values: Sequence[float | None]) -> float:
    numbers = [math.nan if value is None else value for value in values]
    return sum(numbers) / len(numbers)


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None or math.isnan(a) or math.isnan(b):
        return (a is None) == (b is None) and str(a) == str(b)
    return math.isclose(a, b, rel_tol=2e-5, abs_tol=1e-9)


def last_build(folder: Path) -> dict[str, Any] | None:
    """Return what the last build into a folder wrote; None: there was none.

    A folder with other things in it is not written to. A site of an older schema is replaced: of
    its build only `schema_version` is returned, since its numbers have other names.
    """
    path = folder / NAME
    if not path.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise GeobenchError(
                f"{folder} is there and holds no {NAME}: it is not a site that was built before, "
                f"and would be overwritten. Name an empty folder, or another one."
            )
        return None
    try:
        build = json.loads(path.read_text("utf-8"))
        if build["schema_version"] in range(1, SCHEMA):
            return {"schema_version": build["schema_version"]}
        if build["schema_version"] != SCHEMA:
            raise ValueError(f"its schema is {build['schema_version']}")
        return dict(build)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GeobenchError(
            f"{path} cannot be read ({error}), so changes since the last build "
            f"cannot be listed. Remove the folder, or name another one."
        ) from error

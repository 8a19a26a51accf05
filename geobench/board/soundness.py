"""What makes a row of a board incomplete or degenerate: failed members, missing seeds, copies.

Members that are copies of one another are no ensemble: their spread is too small, and fair scores
take them for independent draws. Copies are looked for in a few cases of the stored forecast, at the
last lead time, when a board is made; so forecasts of any age, drawn here or imported, are checked,
and a large forecast is not read. Two members count as copies if they are equal in each of these
cases: models that draw from a limited stock may draw the same state twice by chance.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geobench.contracts.scorer import Scorer
from geobench.errors import GeobenchError
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr

    from geobench.board.model import Board, Row

_CASES = 4


def copies(forecast: Entry) -> str:
    """Say which members of a forecast are equal, in every case that is looked at; "" if none."""
    members = int(forecast.record.recipe["members"])
    if members < 2:
        return ""
    try:
        with forecast.reading():
            groups = _groups(forecast.open())
    except GeobenchError as error:
        return f"its members cannot be read to compare them ({error})"
    equal = sum(len(group) for group in groups)
    if not equal:
        return ""
    if len(groups) == 1 and equal == members:
        return f"all {members} members are equal"
    if {len(group) for group in groups} == {2}:
        return f"{equal} of {members} members are equal in pairs"
    return f"{equal} of {members} members are equal to others"


def _groups(opened: "xr.Dataset") -> list[list[int]]:
    """Members that are equal to one another in a few cases, two or more together."""
    import numpy as np

    inits = np.linspace(0, opened.sizes["init_time"] - 1, _CASES).astype(int)
    groups = [list(range(opened.sizes["member"]))]
    for init in dict.fromkeys(inits.tolist()):
        case = opened.isel(init_time=init, lead_time=-1).load()
        fields = [field.transpose("member", ...).to_numpy() for field in case.data_vars.values()]
        looks = [
            _look([array[member] for array in fields]) for member in range(case.sizes["member"])
        ]
        groups = [part for group in groups for part in _parted(group, looks)]
    return groups


def _look(fields: "Sequence[object]") -> bytes | None:
    """What two equal members share; None of a failed one, whose values say nothing."""
    import numpy as np

    if not any(np.isfinite(field).any() for field in fields):  # type: ignore[call-overload]
        return None
    return b"".join(np.ascontiguousarray(field).tobytes() for field in fields)


def _parted(group: Sequence[int], looks: Sequence[bytes | None]) -> list[list[int]]:
    """Parts of a group that look alike, of two or more."""
    parts: dict[bytes, list[int]] = {}
    for member in group:
        look = looks[member]
        if look is not None:
            parts.setdefault(look, []).append(member)
    return [part for part in parts.values() if len(part) > 1]


def marks(row: "Row") -> list[str]:
    """What a reader must know of a row before believing its numbers, in a few words each."""
    count = len(row.seeds) or 1
    wanted = count + len(row.missing_seeds)
    missing = ", ".join(map(str, row.missing_seeds))
    plural = "s" if len(row.missing_seeds) > 1 else ""
    return [
        *([f"{row.failed} member{'s' * (row.failed > 1)} failed"] if row.failed else []),
        *([f"{count} of {wanted} seeds: no seed{plural} {missing}"] if missing else []),
        *([f"degenerate: {row.degenerate}"] if row.degenerate else []),
        *(["deterministic"] if row.deterministic else []),
    ]


def unsound(row: "Row") -> bool:
    """Whether a row is incomplete or degenerate; a deterministic model is neither."""
    return bool(row.failed or row.missing_seeds or row.degenerate)


def described(rows: Sequence["Row"], scorers: Sequence[Scorer]) -> list[str]:
    """Say, in sentences, which rows are incomplete, degenerate or deterministic."""
    sentences = []
    for row in rows:
        if row.missing_seeds:
            sentences.append(
                f"{row.label} is the mean of seed {', '.join(map(str, row.seeds))}: seed "
                f"{', '.join(map(str, row.missing_seeds))} is missing or cannot be read. Run the "
                f"study: geobench run."
            )
        if row.degenerate:
            sentences.append(
                f"{row.label}: {row.degenerate}, in each of the cases looked at, so that it has "
                f"fewer members than it says. Copies count as independent members in its scores."
            )
    for label, ensemble in dict.fromkeys((row.label, row.ensemble) for row in rows):
        if "–" in ensemble:
            sentences.append(
                f"{label} has {ensemble} members, by init. Each init is scored with its own "
                f"members, and fair scores do not depend on their number. Scores that count ranks "
                f"take {ensemble.partition('–')[0]} members at each init."
            )
    fewest = {id(row): row.fewest_members or row.members for row in rows}
    for count in sorted({*fewest.values()}):
        names = list(dict.fromkeys(row.label for row in rows if fewest[id(row)] == count))
        reasons = [reason for scorer in scorers if (reason := scorer.no_score(count))]
        if count == 1:
            verb = "has one member: a point forecast" if len(names) == 1 else "have one member each"
            sentences.append(f"{', '.join(names)} {verb}, whose CRPS is the absolute error.")
        if reasons:
            sentences.append(f"{', '.join(names)}, a dash: {'; '.join(dict.fromkeys(reasons))}.")
    return sentences


def all_sound(boards: Sequence["Board"]) -> bool:
    """Whether no row of any board is incomplete or degenerate."""
    return not any(unsound(row) for board in boards for row in board.rows)

"""What tests, plans and powers find, as tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geobench.diagnostics.defects import DEFECTS
from geobench.tables.numbers import count_cell, number_cell
from geobench.tables.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from geobench.diagnostics.defects import Power
    from geobench.diagnostics.exchange import Verdict
    from geobench.diagnostics.planning import Plan


def verdict_table(verdicts: "Sequence[Verdict]") -> Table:
    """The exact test of each score."""
    return Table.of_texts(
        ["", "score", "the law", "p", "q"],
        [[v.score, f"{v.value:.4g}", f"{v.law:.4g}", f"{v.p:.3f}", f"{v.q:.3f}"] for v in verdicts],
    )


def needs_table(plan: "Plan") -> Table:
    """Cases that are needed, by members."""
    columns = [
        Column(heading)
        for heading in ("members", "cases", "members x cases", "variance by members")
    ]
    rows = [
        Row(
            [
                count_cell(need.members),
                count_cell(need.cases),
                count_cell(need.members * need.cases),
                Cell(f"{need.member_share:.0%}", need.member_share),
            ]
        )
        for need in plan.needs
    ]
    return Table(columns, rows)


def power_table(powers: "Sequence[Power]") -> Table:
    """The power of each score, a column for each defect."""
    shares = {(power.score, power.defect): power.power for power in powers}
    rows = [
        Row([Cell(score), *(number_cell(shares[score, defect], 2) for defect in DEFECTS)])
        for score in dict.fromkeys(power.score for power in powers)
    ]
    return Table([Column("score", "left"), *(Column(defect) for defect in DEFECTS)], rows)

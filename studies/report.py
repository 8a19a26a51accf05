"""Write the report of the study from the committed score tables.

python studies/report.py          # writes docs/results/README.md
python studies/report.py --check  # says whether it is what the tables give

The text is docs/results/report.md.j2; every number in it is taken from the score tables
docs/results/site/board.json, docs/results/{ablations,ocean_seeds}.json and studies/results/*.json,
whose commands the report names. The template itself holds no measured number. Rows that
docs/results/withdrawn.json names are marked in every table of the study.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
REPORT = RESULTS / "README.md"
TEMPLATE = "report.md.j2"

Cell = dict[str, Any]


class Board:
    """A board of a score table, asked by names."""

    def __init__(self, told: dict[str, Any], withdrawn: dict[str, str] | None = None) -> None:
        self.told = told
        self.withdrawn = withdrawn or {}
        self.labels = [row["label"] for row in told["rows"]]
        self.columns = {column["name"]: column for column in told["columns"]}

    def row(self, label: str) -> dict[str, Any]:
        """A model's row."""
        found: dict[str, Any] = self.told["rows"][self.labels.index(label)]
        return found

    def named(self, label: str) -> str:
        """How a table names a model: with the reason, if its row is withdrawn."""
        reason = self.withdrawn.get(label)
        return f"`{label}` (**withdrawn**: {reason})" if reason else f"`{label}`"

    def ranked(self, label: str) -> str:
        """The same after the rank of the row, which a withdrawn one does not have."""
        rank = "–" if label in self.withdrawn else self.row(label)["rank"]
        return f"{rank} {self.named(label)}"

    def best_set(self) -> list[str]:
        """Models that may be the best and compete, without the withdrawn ones."""
        return [
            row["label"]
            for row in self.told["rows"]
            if row["in_set"] and row["label"] not in self.withdrawn
        ]

    def cell(self, label: str, column: str, day: float) -> Cell:
        """A score at a lead time: `score`, `excess`, `share`, each with value, low and high."""
        return self.at(self.labels.index(label), column, day)

    def at(self, place: int, column: str, day: float) -> Cell:
        """The same, by the place of a row."""
        lead = self.told["lead_hours"].index(24 * day)
        found: Cell = self.columns[column]["cells"][place][lead]
        return found

    def mean(self, label: str, column: str) -> float:
        """Mean excess of a score over lead times."""
        cells = self.columns[column]["cells"][self.labels.index(label)]
        return sum(float(cell["excess"]["value"]) for cell in cells) / len(cells)

    def seed_sd(self, label: str) -> float:
        """Standard deviation between seeds of the excess that ranks; NaN of one seed."""
        found = [each for each in self.told["models"] if each["label"] == label]
        return float(found[0]["seed_sd"]) if found else math.nan

    def best(self, labels: Iterable[str]) -> str:
        """The one of these with the least excess."""
        return min(labels, key=lambda label: float(self.row(label)["excess"]["value"]))


def number(value: float | None, digits: int = 3) -> str:
    """So many decimals; a dash for what is not a number."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def interval(each: dict[str, float] | None, digits: int = 3, scale: float = 1) -> str:
    """`value [low, high]`."""
    if each is None or each["value"] is None:
        return "–"
    value, low, high = (
        number(_scaled(each[key], scale), digits) for key in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else scale * value


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def days_of(board: Board) -> list[float]:
    """Lead times that tables show."""
    own = [hours / 24 for hours in board.told["lead_hours"]]
    return [day for day in (1, 3, 5) if day in own] if own[0] == 1 else own[:3]


def of_law(board: Board, labels: Sequence[str] = ()) -> str:
    """Table of the whole law: all models by rank, or some in this order."""
    days = days_of(board)
    rows = []
    for label in labels or board.labels:
        row = board.row(label)
        first, later = days[0], days[min(2, len(days) - 1)]
        ratios = [
            board.cell(label, "spread/skill", day)["score"]["value"] for day in (first, later)
        ]
        rows.append([
            board.ranked(label),
            interval(row["excess"], 4),
            number(board.seed_sd(label), 4),
            *(number((board.cell(label, "CRPS", day)["share"] or {}).get("value")) for day in days),
            ", ".join(number(ratio, 2) for ratio in ratios),
            interval(board.cell(label, "energy score", first)["excess"], 4),
            interval(board.cell(label, "error of the covariance", first)["score"], 2),
            interval(board.cell(label, "dependence lost", first)["score"], 2),
        ])  # fmt: skip
    shares = [f"share, day {day:g}" for day in days]
    return table(
        ["rank, model", "mean excess CRPS [95 %]", "sd of seeds", *shares,
         f"spread/skill, days {days[0]:g}, {later:g}", f"excess energy score, day {days[0]:g}",
         f"error of the covariance, day {days[0]:g}",
         f"dependence lost, day {days[0]:g}"],
        rows,
    )  # fmt: skip


EXTREMES = (
    ("squared error of p 99%{}", "score", 1, 1e4, "squared error of p, 10⁻⁴"),
    ("squared error of p 99%{}", "share", 2, 1, "its share"),
    ("twCRPS{} 99%", "excess", 2, 1e3, "excess twCRPS, 10⁻³"),
    ("exceedance over the law's 99%{}", "score", 3, 1, "exceedances over the law's, less 1"),
    ("return level over the law's{}", "score", 2, 1, "return level less the law's"),
    ("value lost 99% 0.05{}", "score", 3, 1, "value lost, C/L 0.05"),
)


def of_extremes(
    board: Board, day: float = 3, labels: Sequence[str] = (), variable: str = ""
) -> str:
    """Table of what is above the 99 % quantile of each site, at one lead time.

    Where there are several variables, of one.
    """
    rows = []
    called = f" {variable}" if variable else ""
    for label in labels or board.labels:
        cells = [board.cell(label, name.format(called), day)[what] for name, what, *_ in EXTREMES]
        told = [
            interval(cell, digits, scale)
            for cell, (_, _, digits, scale, _) in zip(cells, EXTREMES, strict=True)
        ]
        rows.append([board.named(label), *told])
    return table(["model", *(heading for *_, heading in EXTREMES)], rows)


def of_price(board: Board, labels: Sequence[str]) -> str:
    """Table of what models cost, beside their excess."""
    rows = []
    for label in labels:
        row = board.row(label)
        rows.append([
            board.named(label),
            number(row["parameters"], 0),
            number(row["training_seconds"], 0),
            number(row["evaluations"], 0),
            number(1e3 * row["seconds_per_member"], 2),
            number(row["excess"]["value"], 4),
        ])  # fmt: skip
    headings = ["model", "parameters", "training, s", "evaluations a step", "ms per member"]
    return table([*headings, "mean excess CRPS"], rows)


def of_larger(wanted: Sequence[tuple[str, str, str]]) -> str:
    """Table of models of earlier studies: (study, experiment, model), by lead time."""
    rows = []
    for study, experiment, label in wanted:
        board = larger(study)[experiment]
        days = [hours / 24 for hours in board.told["lead_hours"]][:5:2]
        rows.append([
            f"`{experiment}`: `{label}`",
            interval(board.row(label)["excess"], 4),
            ", ".join(number(board.cell(label, "CRPS", day)["share"]["value"]) for day in days),
            ", ".join(
                number(board.cell(label, "energy score", day)["excess"]["value"], 4) for day in days
            ),
            ", ".join(
                number(board.cell(label, "spread/skill", day)["score"]["value"], 2) for day in days
            ),
        ])  # fmt: skip
    headings = ["experiment, model", "mean excess CRPS [95 %]", "share, steps 1, 3, 5"]
    return table([*headings, "excess energy score", "spread/skill"], rows)


def of_ocean(board: Board, labels: Sequence[str] = ()) -> str:
    """Table of models on the shallow water: all by rank, or some in this order."""
    rows = []
    for label in labels or board.labels:
        cells = {
            name: [board.cell(label, name, day) for day in (5, 30, 60)]
            for name in ("CRPS eta", "energy score", "spread/skill eta")
        }
        shares = [
            ", ".join(number((cell["share"] or {}).get("value"), 2) for cell in cells[name])
            for name in ("CRPS eta", "energy score")
        ]
        row = board.row(label)
        rows.append([
            board.ranked(label),
            interval(row["excess"]),
            *shares,
            ", ".join(number(cell["score"]["value"], 2) for cell in cells["spread/skill eta"]),
            *(
                number(board.cell(label, name, 5)["score"]["value"], 2)
                for name in ("error of the covariance", "dependence lost")
            ),
            number(row["seconds_per_member"], 2),
        ])  # fmt: skip
    return table(
        ["rank, model", "excess [95 %]", "CRPS of height: share, days 5, 30, 60",
         "energy score: share", "spread/skill of height", "error of the covariance, day 5",
         "dependence lost, day 5", "s per member"],
        rows,
    )  # fmt: skip


def training_seconds(every: Sequence[Board]) -> list[float]:
    """What a training of each network took, on average over seeds."""
    return [
        row["training_seconds"]
        for board in every
        for row in board.told["rows"]
        if row["parameters"]
    ]


def of_trainings(board: Board) -> str:
    """Table of single trainings on the shallow water: all by rank."""
    columns = (
        ("CRPS eta", "share", 5, 2, 1),
        ("CRPS eta", "share", 60, 2, 1),
        ("error of the covariance", "score", 5, 1, 1),
        ("squared error of p 99% eta", "score", 30, 1, 1e4),
        ("exceedance over the law's 99% eta", "score", 30, 2, 1),
        ("value lost 99% 0.05 eta", "score", 30, 2, 1),
    )
    rows = []
    for place, row in enumerate(board.told["rows"]):
        cells = [
            interval(board.at(place, name, day)[what], digits, scale)
            for name, what, day, digits, scale in columns
        ]
        rows.append([
            f"{row['rank']} `{row['label']}`, seed {row['seed']}",
            interval(row["excess"]),
            *cells,
        ])  # fmt: skip
    return table(
        ["rank, training", "excess [95 %]", "CRPS of height: share, day 5", "day 60",
         "error of the covariance, day 5", "squared error of p, 10⁻⁴, day 30",
         "exceedances over the law's, less 1", "value lost, C/L 0.05"],
        rows,
    )  # fmt: skip


def times_as_long(every: Sequence[Board], label: str, other: str) -> list[float]:
    """How much longer a member of one model takes than of another, on each board."""
    return [
        board.row(label)["seconds_per_member"] / board.row(other)["seconds_per_member"]
        for board in every
    ]


def hours_of_training(every: dict[str, Board], without: Sequence[str]) -> float:
    """Hours that the trainings of boards took, one after another; all seeds.

    `without` those that share a training with another one.
    """
    seconds = [
        row["training_seconds"] * len(row.get("seeds") or [0])
        for board in every.values()
        for row in board.told["rows"]
        if row["label"] not in without
    ]
    return float(sum(seconds)) / 3600


def boards(file: str = "site/board.json") -> dict[str, Board]:
    """Boards of a site, by the name of their page."""
    told = json.loads((RESULTS / file).read_text("utf-8"))
    for column in (column for each in told["boards"] for column in each["columns"]):
        column["cells"] = [[_named(told, cell) for cell in cells] for cells in column["cells"]]
    rows = json.loads((RESULTS / "withdrawn.json").read_text("utf-8"))
    reasons = {
        page: {
            label: row["reason"]
            for label, row in rows.items()
            if row["boards"] is None or page in row["boards"]
        }
        for page in (each["page"] for each in told["boards"])
    }
    return {each["page"]: Board(each, reasons[each["page"]]) for each in told["boards"]}


def of_withdrawn() -> str:
    """List of the withdrawn rows, with their reasons."""
    rows = json.loads((RESULTS / "withdrawn.json").read_text("utf-8"))
    return "\n".join(f"- `{label}`{row['where']}: {row['reason']}." for label, row in rows.items())


def _named(told: dict[str, Any], cell: Sequence[Sequence[float | None] | None]) -> Cell:
    """A cell with the names that the file gives to what stands in it."""
    pairs = zip(told["cell"], cell, strict=True)
    return {name: each and dict(zip(told["estimate"], each, strict=True)) for name, each in pairs}


def larger(name: str) -> dict[str, Board]:
    """Boards of an earlier study, one training each, by experiment."""
    told = json.loads((ROOT / "studies" / "results" / f"{name}.json").read_text("utf-8"))
    return {each["name"]: Board(each) for each in told}


def render() -> str:
    """Return the report."""
    environment = Environment(
        loader=FileSystemLoader(RESULTS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 # Markdown of our own names and numbers
    )
    environment.filters["code"] = lambda text: f"`{text}`"
    tools: dict[str, Callable[..., Any]] = {
        "number": number, "interval": interval, "table": table, "larger": larger,
        "of_law": of_law, "of_extremes": of_extremes, "of_price": of_price,
        "of_larger": of_larger, "of_ocean": of_ocean, "of_trainings": of_trainings,
        "hours_of_training": hours_of_training, "training_seconds": training_seconds,
        "times_as_long": times_as_long, "of_withdrawn": of_withdrawn,
    }  # fmt: skip
    return environment.get_template(TEMPLATE).render(
        boards=boards(),
        ablations=boards("ablations.json"),
        trainings=boards("ocean_seeds.json"),
        **tools,
    )


def main() -> None:
    """Write the report, or check it."""
    text = render()
    if "--check" not in sys.argv[1:]:
        REPORT.write_text(text, "utf-8")
    elif REPORT.read_text("utf-8") != text:
        sys.exit(f"{REPORT} is not what the tables give. Run: python studies/report.py")


if __name__ == "__main__":
    main()

"""Mark on the built site of the study which rows are withdrawn, and why.

python studies/withdrawn.py

docs/results/withdrawn.json names the rows, the reason, and the boards (null: every board). The
report marks them in its own tables (studies/report.py). The site was built from forecasts that are
not in the repository, so its pages are marked as they are. Pages that are marked already stay.
"""

import html
import json
import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "docs" / "results"
MARK = " <small>(withdrawn)</small>"
NOTICE = '<p class="lead" id="withdrawn">'

Told = dict[str, dict[str, Any]]


def withdrawn(board: str, told: Told) -> Told:
    """Return the rows of a board that are withdrawn, by label."""
    return {
        label: row for label, row in told.items() if row["boards"] is None or board in row["boards"]
    }


def notice(told: Told) -> str:
    """Return the paragraph that stands below a page's heading."""
    parts = "; ".join(
        f"<bdi>{html.escape(label)}</bdi>{html.escape(row['where'])}: {html.escape(row['reason'])}"
        for label, row in told.items()
    )
    return (
        f"\n{NOTICE}<b>Withdrawn.</b> These rows measured a fault of ours and not the method. No "
        f"conclusion uses them. {parts}. Ranks and figures on this site were made with them.</p>"
    )


def marked(text: str, told: Told, boards: dict[str, Told]) -> str:
    """Return a page with `told` below its heading, and a mark at each withdrawn row and link.

    `boards` are the rows whose links are marked, by board; those of one board are also marked in
    the tables.
    """
    if NOTICE in text:
        return text
    for board, rows in boards.items():
        labels = "|".join(map(re.escape, rows))
        link = rf'(entries/{board}-(?:{labels})-s\d+-\d+\.html"><bdi>[^<]*</bdi>)'
        text = re.sub(link, rf"\1{MARK}", text)
        if len(boards) == 1:
            head = rf'(<th scope="row"[^>]*><bdi>(?:{labels})</bdi>)'
            text = re.sub(head, rf"\1{MARK}", text)
    return text.replace("</h1>", "</h1>" + notice(told), 1)


def main() -> None:
    """Mark the overview, the pages of the experiments, and those of withdrawn entries."""
    site = RESULTS / "site"
    told: Told = json.loads((RESULTS / "withdrawn.json").read_text("utf-8"))
    names = [board["page"] for board in json.loads((site / "board.json").read_text())["boards"]]
    boards = {name: withdrawn(name, told) for name in names}
    pages = {site / "index.html": (told, boards)}
    for name, rows in boards.items():
        for page in (f"{name}.html", f"{name}-scores.html"):
            pages[site / "experiments" / page] = rows, {name: rows}
        for label, row in rows.items():
            for page in sorted((site / "entries").glob(f"{name}-{label}-s*.html")):
                pages[page] = {label: row}, {name: {}}
    for page, (rows, links) in pages.items():
        links = {name: linked for name, linked in links.items() if linked}
        page.write_text(marked(page.read_text("utf-8"), rows, links), "utf-8")


if __name__ == "__main__":
    main()

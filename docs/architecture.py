"""Draw docs/architecture.svg from the import contract: python docs/architecture.py.

Each line holds packages that may not import one another; each imports only from the lines below.
"""

import tomllib
from pathlib import Path

HERE = Path(__file__).parent
WIDTH, LINE, GAP, MARGIN = 760, 34, 8, 12


def layers(project: str) -> list[list[str]]:
    """Packages of each line of the core's contract, from the top down."""
    contracts = tomllib.loads(project)["tool"]["importlinter"]["contracts"]
    (core,) = (each for each in contracts if each.get("containers") == ["geobench"])
    return [line.split(" | ") for line in core["layers"]]


def drawing(project: str) -> str:
    """The picture as SVG."""
    lines = [["geobench_plugins"], *layers(project), ["geobench_catalog"]]
    height = 2 * MARGIN + len(lines) * (LINE + GAP)
    boxes = []
    for row, names in enumerate(lines):
        width = (WIDTH - 2 * MARGIN - GAP * (len(names) - 1)) / len(names)
        for place, name in enumerate(names):
            x, y = MARGIN + place * (width + GAP), MARGIN + row * (LINE + GAP)
            style = "package" if name.startswith("geobench_") else "room"
            boxes.append(
                f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{width:g}" height="{LINE}" '
                f'rx="4"/><text x="{x + width / 2:g}" y="{y + LINE / 2 + 5:g}">{name}</text>'
            )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>Packages of geobench: each imports only from the lines below it</title>",
            (
                "<style>text{font:14px sans-serif;text-anchor:middle;fill:#1b1b1b}"
                ".room{fill:#e8eef7;stroke:#5b7ba6}.package{fill:#f4efe4;stroke:#a68a5b}</style>"
            ),
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *boxes,
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    text = drawing((HERE.parent / "pyproject.toml").read_text("utf-8"))
    (HERE / "architecture.svg").write_text(text, "utf-8")

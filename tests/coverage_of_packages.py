"""Print how many lines and branches of each package the tests reach, from `coverage json`."""

import json
import sys
from pathlib import Path

PACKAGES = {
    "geobench": "geobench/",
    "geobench_plugins": "plugins/geobench_plugins/",
    "geobench_catalog": "catalog/geobench_catalog/",
}


def main(report: Path) -> None:
    """Print one line for each package."""
    files = json.loads(report.read_text("utf-8"))["files"]
    for package, folder in PACKAGES.items():
        found = [each["summary"] for path, each in files.items() if path.startswith(folder)]
        shares = [
            f"{kind} {_share(sum(s[covered] for s in found), sum(s[of] for s in found))}"
            for kind, covered, of in (
                ("lines", "covered_lines", "num_statements"),
                ("branches", "covered_branches", "num_branches"),
            )
        ]
        print(f"{package:<17} {', '.join(shares)}")


def _share(covered: int, of: int) -> str:
    return f"{covered} of {of} ({100 * covered / max(1, of):.2f} %)"


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Kill commands at random moments: what is lost, half visible, other than it was, left behind.

python benchmarks/kills.py [PER_COMMAND [COMMAND ...]]

Each of nine commands is killed (SIGKILL) 36 times, or as often as asked for, in a scratch folder,
on a study of 16 steps. It starts in what the kill before has left, one to four times, each time
killed at a moment drawn between its start and its usual end; then it runs undisturbed. The seed is
fixed; the moments are other ones on each machine. JSON lines, one for each command and one with
their sums; exit code 1 if one of the last four numbers is not 0:

`kills`: those that came while the command was at work; `too_late`: after it.
`lost`: entries that could be seen before, and can't be now, or are others (of `rm`: that it should
keep). `half_visible`: entries that can be seen and are not whole; archives and sites that are
neither the old nor the new one. `other_digests`: what has come of it in the end is not what an
undisturbed run makes. `left_behind`: files, after the last run and `catalog gc`, that are not there
after an undisturbed run.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from zlib import crc32

import numpy as np
from small_catalog import DATASET, make, tree
from timing import tell

from geobench.cli import main
from geobench_catalog import Catalog
from geobench_catalog.removal import collect
from geobench_catalog.verification import verify

BAD = ("lost", "half_visible", "other_digests", "left_behind")


@dataclass
class Campaign:
    """A command, what it starts from, and what it must come to."""

    name: str
    words: Callable[[Path], list[object]]
    """The command, in a scratch folder with the catalog `catalog`."""
    prepare: Callable[[Path], None]
    outcome: Callable[[Path], object]
    """What has come of it, equal for equal work."""
    whole: Callable[[Path], bool] = lambda _: True
    """Whether what others see is the old or the new, at any moment."""


def campaigns(made: Path) -> Iterator[Campaign]:
    """The nine commands, on what `make` has made."""
    scores = [str(entry.reference) for entry in Catalog(made / "catalog").entries("score")]

    def nothing(folder: Path) -> None:
        folder.mkdir()

    def full(folder: Path) -> None:
        shutil.copytree(made / "catalog", folder / "catalog")

    def ids(folder: Path, catalog: str = "catalog") -> dict[str, str]:
        return {str(entry.reference): entry.id for entry in Catalog(folder / catalog).entries()}

    def digests(folder: Path) -> list[tuple[str, str]]:
        every = Catalog(folder / "catalog").entries()
        return sorted((str(each.reference), each.content_digest) for each in every)

    yield Campaign("run", lambda _: ["run", made / "study.yaml"], nothing, digests)

    archive = tree(made)["all.tar"]
    yield Campaign(
        "export",
        lambda folder: ["catalog", "export", *scores, "--to", folder / "all.tar"],
        full,
        lambda folder: tree(folder).get("all.tar"),
        lambda folder: tree(folder).get("all.tar", archive) == archive,
    )
    yield Campaign("import", lambda _: ["catalog", "import", made / "all.tar"], nothing, ids)
    yield Campaign(
        "push",
        lambda folder: ["catalog", "push", *scores, folder / "target"],
        full,
        lambda folder: ids(folder, "target"),
        lambda folder: not damaged(folder / "target"),
    )
    yield Campaign(
        "rm",
        lambda _: ["catalog", "rm", "--yes", "--cascade", "forecaster/tiny.fgn.s0@1"],
        full,
        lambda folder: (ids(folder), Catalog(folder / "catalog").names.removed()),
    )

    def littered(folder: Path) -> None:
        full(folder)
        dataset = Catalog(folder / "catalog").get(DATASET).path
        for number in range(40):  # entries that were begun, and drafts of the dead
            half = folder / f"catalog/entries/{number:064x}"
            shutil.copytree(dataset, half)
            (half / "MANIFEST.json").unlink()
            shutil.copytree(half, folder / f"catalog/tmp/dead{number}")

    yield Campaign(
        "gc",
        lambda _: ["catalog", "gc"],
        littered,
        lambda folder: (
            ids(folder),
            sorted(path.name for path in (folder / "catalog/entries").iterdir()),
        ),
    )

    def indexed(folder: Path) -> None:
        full(folder)
        Catalog(folder / "catalog").query("")

    yield Campaign(
        "reindex",
        lambda _: ["catalog", "reindex"],
        indexed,
        lambda folder: Catalog(folder / "catalog").query("").to_json(),
    )

    def with_site(folder: Path) -> None:
        full(folder)
        shutil.copytree(made / "site", folder / "site")

    def site(folder: Path) -> object:
        files = tree(folder)  # less those that tell what has changed since the build before
        told = {name: files.pop(name, "") for name in ("index.html", "board.json")}
        return files, all(told.values())

    old_and_new = [site(made / name) for name in ("site", "new-site")]
    yield Campaign(
        "leaderboard build",
        lambda folder: ["leaderboard", "build", made / "new.yaml", "--out", folder / "site"],
        with_site,
        lambda folder: site(folder / "site"),
        lambda folder: site(folder / "site") in old_and_new,
    )
    theirs = ["--dataset", DATASET, "--model", "theirs"]
    yield Campaign(
        "import-forecast",
        lambda _: ["catalog", "import-forecast", made / "theirs.nc", *theirs],
        full,
        digests,
    )


def kill(campaign: Campaign, context: ForkServerContext, place: Path, count: int) -> Counter[str]:
    """Kill a command `count` times while it is at work."""
    chance = np.random.default_rng(crc32(campaign.name.encode()))
    counts = Counter(dict.fromkeys(("kills", "too_late", *BAD), 0))
    undisturbed, folder = place / "undisturbed", place / "killed"
    campaign.prepare(undisturbed)
    began = time.monotonic()
    start(campaign, undisturbed, context).join()
    usual = time.monotonic() - began
    wanted, remain = campaign.outcome(undisturbed), left_after_gc(undisturbed)
    while counts["kills"] < count:
        campaign.prepare(folder)
        seen: dict[str, str] = {}
        look(campaign, folder, seen)
        for _ in range(min(int(chance.integers(1, 5)), count - counts["kills"])):
            process = start(campaign, folder, context)
            time.sleep(chance.uniform(0, usual))
            process.kill()
            process.join()
            counts["kills" if process.exitcode == -9 else "too_late"] += 1
            counts += look(campaign, folder, seen)
        start(campaign, folder, context).join()
        counts += look(campaign, folder, seen)
        counts["other_digests"] += campaign.outcome(folder) != wanted
        left = left_after_gc(folder) - remain
        counts["left_behind"] += left.total()
        if left:
            print(f"{campaign.name}: {dict(left)}", file=sys.stderr)
        shutil.rmtree(folder)
    shutil.rmtree(undisturbed)
    told = {name: counts[name] for name in ("kills", "too_late", *BAD)}
    tell(command=campaign.name, usual_seconds=usual, **told)
    return Counter(told)


def start(campaign: Campaign, folder: Path, context: ForkServerContext) -> ForkServerProcess:
    """Start the command in a process of its own that has imported everything."""
    ours, theirs = context.Pipe(duplex=False)
    words = ["--quiet", "--catalog", folder / "catalog", *campaign.words(folder)]
    process = context.Process(target=command, args=([*map(str, words)], theirs))
    process.start()
    theirs.close()
    ours.recv()  # it begins now
    return process


def command(words: list[str], begun: Connection) -> None:
    """Run a command line; what it prints is of no interest."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    begun.send(None)
    main(words)


def look(campaign: Campaign, folder: Path, seen: dict[str, str]) -> Counter[str]:
    """Compare what others see now with what they have `seen`."""
    catalog = folder / "catalog"
    if not (catalog / "geobench-catalog.json").exists():
        return Counter(lost=len(seen))
    now = {str(entry.reference): entry.id for entry in Catalog(catalog).entries()}
    goes = "fgn" if campaign.name == "rm" else "nothing"
    lost = sum(now.get(name) != own for name, own in seen.items() if goes not in name)
    lost += sum(now[name] != own for name, own in seen.items() if goes in name and name in now)
    seen.clear()
    seen |= now
    return Counter(lost=lost, half_visible=damaged(catalog) + (not campaign.whole(folder)))


def damaged(folder: Path) -> int:
    """How many entries can be seen and are not whole."""
    if not (folder / "geobench-catalog.json").exists():
        return 0
    catalog = Catalog(folder)
    references = tuple(str(entry.reference) for entry in catalog.entries())
    findings = verify(catalog, references) if references else ()
    return sum(bool(each.problems) for each in findings) + len(catalog.damaged)


def left_after_gc(folder: Path) -> Counter[str]:
    """What is there beside the content of entries, after `gc`, with … for ids; what is wrong."""
    left = Counter(path.name for path in folder.iterdir())
    for own in folder.glob("*/geobench-catalog.json"):
        catalog = Catalog(own.parent)
        collect(catalog)
        left.update(f"again {what}" for what, _ in collect(catalog))
        left.update(each for found in verify(catalog) for each in found.problems)
        paths = [path.relative_to(own.parent) for path in own.parent.rglob("*")]
        paths = [path for path in paths if path.parts[0] != "entries" or len(path.parts) == 2]
        names = [str(path) for path in paths if "index." not in path.name]
        left.update(re.sub("[0-9a-f]{32,}", "…", name) for name in names)
    return left


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 36
    only = sys.argv[2:]
    context = get_context("forkserver")
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    context.set_forkserver_preload(["preloaded", "small_catalog"])  # imported once
    with tempfile.TemporaryDirectory() as scratch:
        made, place = Path(scratch) / "made", Path(scratch) / "place"
        place.mkdir()
        make(made)
        every = [
            kill(each, context, place, count)
            for each in campaigns(made)
            if not only or each.name in only
        ]
    total = sum(every, Counter(dict.fromkeys(BAD, 0)))
    tell(commands=len(every), **{name: total[name] for name in ("kills", "too_late", *BAD)})
    raise SystemExit(any(total[name] for name in BAD))

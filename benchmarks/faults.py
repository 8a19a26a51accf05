"""Damage one file after another: which numbers are wrong, what is silent, what hangs.

python benchmarks/faults.py [KIND ...]

Each kind of file in the catalog of a small study, and an archive and a forecast file that come in,
is damaged in each of 11 ways, in a copy. Then the study's leaderboard is shown, every entry is
read, `catalog verify`, `doctor` and `catalog list` look, and the study runs again. JSON lines, one
for each kind of file and one with their sums; exit code 1 if one of the last four is not 0:

`noticed`: faults that a command names. `harmless`: all else, after which all reads as before.
`wrong_numbers`: a number of the leaderboard, of an entry or of the new run is another one, and no
error says so. `silent`: something can't be read as it was, and neither `verify` nor `doctor` says
so. `tracebacks`: an error of more than its lines. `hangs`: more than two minutes.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
from click.testing import Result
from small_catalog import DATASET, geobench, make
from timing import tell

from geobench_catalog import Catalog, CatalogError, Entry, manifest

SECONDS = 120  # in which a command must have ended
BAD = ("wrong_numbers", "silent", "tracebacks", "hangs")
SUMS = ("noticed", "harmless", *BAD)

CONTENTS: Mapping[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "empty": lambda *_: b"",
    "half": lambda content, _: content[: len(content) // 2],
    "one byte less": lambda content, _: content[:-1],
    "longer": lambda content, chance: content + chance.bytes(64),
    "one bit": lambda content, chance: bit(content or b"\0", int(chance.integers(2**32))),
    "zeros": lambda content, _: bytes(len(content)),
    "noise": lambda content, chance: chance.bytes(len(content)),
}
FAULTS = (*CONTENTS, "gone", "a folder", "a pipe", "another's")


def seeded(name: str) -> np.random.Generator:
    """The same damage each time."""
    return np.random.default_rng(crc32(name.encode()))


def bit(content: bytes, place: int) -> bytes:
    """One bit is another."""
    changed = bytearray(content)
    changed[place // 8 % len(content)] ^= 1 << place % 8
    return bytes(changed)


def damage(path: Path, fault: str, other: bytes, chance: np.random.Generator) -> None:
    """Damage a file in the way that `fault` names; `other` is the content of one like it."""
    if fault in CONTENTS:
        path.write_bytes(CONTENTS[fault](path.read_bytes(), chance))
        return
    path.unlink()
    if fault == "a folder":
        path.mkdir()
    elif fault == "a pipe":
        os.mkfifo(path)
    elif fault == "another's":
        path.write_bytes(other)


def targets(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Each kind of file of a catalog: what it is, its path, what stands in another of its kind."""
    catalog = Catalog(folder)
    for kind in ("dataset", "forecaster", "forecast", "score"):
        found = sorted(catalog.entries(kind), key=lambda each: -each.size)
        entry = found[0]
        inside = {
            "record": manifest.RECORD,
            "manifest": manifest.NAME,
            "group": "data.zarr/zarr.json",
            "array": largest(entry, "/zarr.json", "data.zarr/zarr.json"),
            "chunk": largest(entry, "", "zarr.json", within="/c/"),
            "weights": largest(entry, ".safetensors"),
        }
        for what, name in inside.items():
            if name:
                like = [each for each in found[1:] if (each.path / name).exists()]
                content = (entry.path / name).read_bytes()
                other = (like[-1].path / name).read_bytes() if like else content[::-1]
                yield f"{kind}: {what}", str((entry.path / name).relative_to(folder)), other
        yield f"{kind}: reference", f"refs/{entry.reference}", found[-1].id.encode()
    yield "alias", "aliases/dataset/tiny@paper", b"{}"
    yield "tag", "tags/dataset/tiny@1+good", b"{}"
    yield "the catalog's own", "geobench-catalog.json", b"{}"
    yield "index", "index.sqlite", b"{}"


def largest(entry: Entry, ending: str, but: str = "", within: str = "") -> str | None:
    """The largest file of an entry whose name ends and is so."""
    fit = [
        name
        for name in entry.manifest
        if name.endswith(ending) and within in name and not (but and name.endswith(but))
    ]
    return max(fit, key=lambda name: entry.manifest[name][0], default=None)


def values(folder: Path) -> dict[str, str]:
    """A digest of what can be read of every entry; if it can't, the error."""
    found = {}
    for entry in Catalog(folder).entries():
        digest = hashlib.sha256()
        try:
            data = entry.load()
            for name in sorted(map(str, data.variables)):
                digest.update(name.encode() + data[name].values.tobytes())
            for name in (manifest.RECORD, *entry.manifest):
                if not name.startswith("data.zarr/"):
                    digest.update(entry.content(name))
            found[str(entry.reference)] = digest.hexdigest()
        except CatalogError as error:
            found[str(entry.reference)] = f"error: {error}"
    return found


def numbers(text: str) -> dict[str, object]:
    """The scores of each row, by column, of boards that were printed as JSON."""
    return {
        f"{board['name']}/{row['label']}/{column['name']}": [
            cell and cell["score"]["value"] for cell in cells
        ]
        for board in json.loads(text)
        for column in board["columns"]
        for row, cells in zip(board["rows"], column["cells"], strict=True)
    }


@contextmanager
def limited() -> Iterator[None]:
    """End what takes longer than it may."""

    def end(*_: object) -> None:
        raise TimeoutError("it takes too long")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Trial:
    """One fault, and what was seen after it."""

    def __init__(self, name: str, catalog: Path) -> None:
        self.name, self.catalog = name, catalog
        self.counts: Counter[str] = Counter()
        self.noticed = False

    def bad(self, what: str, evidence: object) -> None:
        """Count something that must not be, and say it."""
        self.counts[what] += 1
        print(f"{self.name}: {what}: {evidence}", file=sys.stderr, flush=True)

    def asked(self, *words: object) -> Result | None:
        """Run a command, which must end, in one line if it fails."""
        try:
            with limited():
                result: Result = geobench(self.catalog, *words)
        except TimeoutError:
            self.bad("hangs", words)
            return None
        if isinstance(result.exception, TimeoutError):
            self.bad("hangs", words)
            return None
        if result.exception and not isinstance(result.exception, SystemExit):
            self.bad("tracebacks", (words, result.exception))
        elif "Traceback" in result.output:
            self.bad("tracebacks", (words, result.output))
        return result

    def read(self) -> dict[str, str]:
        """What can be read of every entry."""
        try:
            with limited():
                return values(self.catalog)
        except TimeoutError:
            self.bad("hangs", "reading")
        except CatalogError:
            self.noticed = True
        except Exception as error:
            self.bad("tracebacks", repr(error))
        return {}

    def ended(self) -> Counter[str]:
        """The counts, the fault itself among them."""
        self.counts["noticed" if self.noticed else "harmless"] += 1
        return self.counts


def inside(made: Path, place: Path, target: tuple[str, str, bytes], how: str) -> Counter[str]:
    """Damage a file of a catalog."""
    what, name, other = target
    shutil.copytree(made / "catalog", place / "catalog")
    trial, study = Trial(f"{what}, {how}", place / "catalog"), made / "study.yaml"
    right, board = values(made / "catalog"), numbers((made / "board.json").read_text())
    damage(trial.catalog / name, how, other, seeded(what + how))

    def compare(result: Result | None) -> None:
        if result and result.stdout.startswith("["):
            for row, scores in numbers(result.stdout).items():
                if board.get(row) != scores:
                    trial.bad("wrong_numbers", f"{row} {scores}, not {board.get(row)}")

    compare(trial.asked("leaderboard", study, "--json"))
    now = trial.read()
    for reference, digest in now.items():
        if digest != right.get(reference) and not digest.startswith("error"):
            trial.bad("wrong_numbers", f"{reference} reads otherwise")
    for words in (("catalog", "verify"), ("doctor",)):
        result = trial.asked(*words)
        trial.noticed |= bool(result and result.exit_code)
    trial.asked("catalog", "list")
    if now != right and not trial.noticed:
        trial.bad("silent", [name for name in right if now.get(name) != right[name]])
    compare(trial.asked("run", study, "--json"))
    return trial.ended()


def incoming(made: Path, place: Path, target: tuple[str, str], how: str) -> Counter[str]:
    """Damage a file that comes in: it is refused, or brings what it brings undamaged."""
    what, name = target
    trial = Trial(f"{what}, {how}", place / "catalog")
    path = place / name
    shutil.copy(made / name, path)
    words: list[object] = ["catalog", "import", path]
    right, before = values(made / "catalog"), {}
    if what == "forecast file":
        words = ["catalog", "import-forecast", path, "--dataset", DATASET, "--model", "theirs"]
        shutil.copytree(made / "catalog", trial.catalog)
        before, right = right, values(made / "adopted")
    damage(path, how, (made / "study.yaml").read_bytes(), seeded(what + how))
    result = trial.asked(*words)
    trial.noticed = bool(result and result.exit_code)
    now = trial.read() if trial.catalog.exists() else {}
    if lost := [name for name, own in before.items() if now.get(name) != own]:
        trial.bad("silent", lost)
    came = {name: own for name, own in now.items() if name not in before}
    data = {entry.content_digest for entry in Catalog(made / "adopted").entries()}
    if what == "forecast file":  # its record holds the moment when it came
        every = Catalog(trial.catalog).entries()
        wrong = [str(each) for each in every if each.content_digest not in data]
    else:
        wrong = [name for name, own in came.items() if right.get(name) != own]
    if wrong:
        trial.bad("wrong_numbers", wrong)
    if not trial.noticed and len(before) + len(came) != len(right):
        trial.bad("silent", f"{len(came)} entries came, and no error")
    return trial.ended()


if __name__ == "__main__":
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        made, place = Path(scratch) / "made", Path(scratch) / "place"
        make(made)
        tries = [
            (target[0], partial(inside, made, place, target))
            for target in targets(made / "catalog")
        ]
        tries += [
            (target[0], partial(incoming, made, place, target))
            for target in (("archive", "all.tar"), ("forecast file", "theirs.nc"))
        ]
        tries = [each for each in tries if each[0] in (sys.argv[1:] or [each[0]])]
        for what, tried in tries:
            counts: Counter[str] = Counter()
            for how in FAULTS:
                place.mkdir()
                counts.update(tried(how))
                shutil.rmtree(place)
            tell(file=what, faults=len(FAULTS), **{name: counts[name] for name in SUMS})
            total.update(counts)
    tell(files=len(tries), faults=len(tries) * len(FAULTS), **{name: total[name] for name in SUMS})
    raise SystemExit(any(total[name] for name in BAD))

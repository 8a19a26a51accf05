"""What there is: entries, plugins, the state of the installation."""

import difflib
from typing import TYPE_CHECKING

from geobench.errors import GeobenchError
from geobench.lab.dataset import Dataset
from geobench.lab.forecast import Forecast
from geobench.lab.forecaster import Forecaster
from geobench.lab.made import Made
from geobench.lab.scores import Scores
from geobench.lab.views import View
from geobench.registry import Registry
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.lab.lab import Lab

_KINDS = {cls.kind: cls for cls in (Dataset, Forecaster, Forecast, Scores)}


def wrapped(lab: "Lab", entry: Entry) -> Made:
    """Return the object of an entry's kind; of a kind without one, what all have in common."""
    return _KINDS.get(entry.record.kind, Made)(lab, entry)


def listed(lab: "Lab", kind: str | None) -> View:
    """List entries with size, date and seconds."""
    if kind is not None:
        lab.catalog.vocabulary.check_kind(kind)
    rows = [
        [
            str(entry.reference),
            f"{entry.size / 1e6:,.1f} MB",
            f"{entry.record.created:%Y-%m-%d %H:%M}",
            f"{entry.record.seconds:,.1f}",
        ]
        for entry in lab.catalog.entries(kind)
    ]
    return View.of_texts(["reference", "size", "created", "seconds"], rows)


def plugins(registry: Registry, kind: str | None = None) -> View:
    """List what plugins offer, and those that are set aside."""
    kinds = sorted({offer.kind for offer in registry.offers.values()})
    if kind is not None and kind not in kinds:
        raise GeobenchError(f"there is no kind of plugin '{kind}'. Kinds: {', '.join(kinds)}.")
    offers = [offer for offer in registry.offers.values() if kind in (None, offer.kind)]
    rows = [[offer.kind, offer.name, offer.summary, offer.plugin] for offer in offers]
    rows += [["set aside", name, why, name] for name, why in registry.set_aside.items()]
    return View.of_texts(["kind", "name", "what it is", "plugin"], rows)


def fields(registry: Registry, name: str) -> View:
    """Show the fields of all plugins of a name."""
    from geobench.registry.field_lists import field_lines

    offers = [offer for offer in registry.offers.values() if offer.name == name]
    if not offers:
        known = sorted({offer.name for offer in registry.offers.values()})
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(known)}."
        raise GeobenchError(f"no plugin offers '{name}'. {hint}")
    rows = []
    for offer in offers:
        rows.append([f"{offer.kind} {offer.name}", offer.summary])
        if offer.kind == "experiment":
            rows += [["", line] for line in offer.value.read_text("utf-8").splitlines()]
            continue
        for line in field_lines(offer.value):
            key, _, about = line.partition(": ")
            rows.append([key, about])
    return View.of_texts(["field", "kind, default, meaning"], rows)


def doctor(lab: "Lab") -> View:
    """Check software, processors, plugins and the catalog."""
    from geobench.registry import health
    from geobench_catalog import health as of_catalog

    files = lab.registry.files
    checks = [
        *health.examine(tuple(files), lab.engine.device),
        *of_catalog.examine(lab.catalog.url),
    ]
    rows = [[check.state, check.check, check.found, check.cure] for check in checks]
    return View.of_texts(["", "check", "found", "what helps"], rows)

"""Logs that other programs read while a network trains: CSV, and, if it is installed, TensorBoard.

They hold what is in the run's log, no times and no names of machines: equal trainings have equal
logs, and one that was interrupted has the log of one that was not.
"""

import csv
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

CSV = "training.csv"
EVENTS = "events.out.tfevents.training"
_WAIT = 5.0  # seconds between flushes of events

Log = Mapping[str, Sequence[float]]


def rows(log: Log) -> list[dict[str, float]]:
    """Return what was logged by sample-passes, one row each."""
    by_passes: dict[float, dict[str, float]] = {}
    for key, values in log.items():
        against = _against(key)
        if key in ("passes", "validation_passes") or against not in log:
            continue
        for passes, value in zip(log[against], values, strict=False):
            by_passes.setdefault(passes, {"passes": passes})[key] = value
    return [by_passes[passes] for passes in sorted(by_passes)]


def _against(key: str) -> str:
    return "validation_passes" if key.startswith("validation_") else "passes"


class Logs:
    """The two files of a folder, written anew from the log when a training begins or goes on."""

    def __init__(self, folder: Path, log: Log) -> None:
        self._csv = folder / CSV
        self._events = _Events(folder / EVENTS) if _tensorboard() else None
        self._written: dict[str, int] = {}
        self.update(log)

    def update(self, log: Log) -> None:
        """Write what has come since the last time."""
        self._write_csv(log)
        if self._events:
            self._events.write(self._new(log))

    def _new(self, log: Log) -> list[tuple[float, bool, str, float]]:
        """Passes, whether of a validation, key and value; in the same order, whatever comes."""
        new: list[tuple[float, bool, str, float]] = []
        for key, values in log.items():
            against = log.get(_against(key), ())
            if key not in ("passes", "validation_passes"):
                first, last = self._written.get(key, 0), min(len(values), len(against))
                late = key.startswith("validation_")
                new += [(against[n], late, key, values[n]) for n in range(first, last)]
                self._written[key] = last
        return sorted(new, key=lambda entry: entry[:2])

    def close(self) -> None:
        """Write all to disk."""
        if self._events:
            self._events.close()

    def _write_csv(self, log: Log) -> None:
        logged = rows(log)
        names = dict.fromkeys(["passes", "loss", *(name for row in logged for name in row)])
        aside = self._csv.with_name(f"{CSV}.new")
        with aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(names), lineterminator="\n")
            writer.writeheader()
            writer.writerows(logged)
        aside.replace(self._csv)


class _Events:
    """The file that TensorBoard reads."""

    def __init__(self, path: Path) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        self._file = RecordWriter(os.fspath(path))
        self._file.write(Event(file_version="brain.Event:2").SerializeToString())
        self._flushed = 0.0

    def write(self, values: Iterable[tuple[float, bool, str, float]]) -> None:
        """Write values as `Logs` orders them."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        for passes, _, key, number in values:
            tag = key.replace("validation_", "validation/")
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=number)])
            self._file.write(Event(step=int(passes), summary=summary).SerializeToString())
        if time.monotonic() - self._flushed > _WAIT:
            self._file.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Write all to disk."""
        self._file.flush()
        self._file.close()


@cache
def _tensorboard() -> bool:
    """Whether events can be written; if not, say so once."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        logging.getLogger("geobench").warning(
            "geobench: no events for TensorBoard are written, because tensorboardX cannot be "
            "imported (%s). %s holds the same numbers. For events run: "
            "pip install 'geobench-twin[tensorboard]'",
            error,
            CSV,
        )
        return False
    return True

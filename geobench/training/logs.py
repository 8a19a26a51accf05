"""Logs that other programs read while a network trains: CSV, and events for TensorBoard.

They hold what is in the run's log, no times and no names of machines: equal trainings have equal
logs, and one that was interrupted has the log of one that was not.
"""

import csv
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CSV = "training.csv"
EVENTS = "events.out.tfevents.training"
_WAIT = 5.0  # seconds between flushes of events

Log = Mapping[str, Sequence[float]]


def rows(log: Log) -> list[dict[str, float]]:
    """Return what was logged by sample-passes, one row each."""
    found: dict[float, dict[str, float]] = {}
    for key, values in log.items():
        against = _against(key)
        if key in ("passes", "validation_passes") or against not in log:
            continue
        for passes, value in zip(log[against], values, strict=False):
            found.setdefault(passes, {"passes": passes})[key] = value
    return [found[passes] for passes in sorted(found)]


def _against(key: str) -> str:
    return "validation_passes" if key.startswith("validation_") else "passes"


class Logs:
    """The two files of a folder, written anew from the log when a training begins or goes on."""

    def __init__(self, folder: Path, log: Log) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        self._csv = folder / CSV
        self._events = RecordWriter(os.fspath(folder / EVENTS))
        self._events.write(Event(file_version="brain.Event:2").SerializeToString())
        self._written: dict[str, int] = {}
        self._flushed = 0.0
        self.update(log)

    def update(self, log: Log) -> None:
        """Write what has come since the last time."""
        self._write_csv(log)
        new: list[tuple[float, bool, str, float]] = []
        for key, values in log.items():
            against = log.get(_against(key), ())
            if key not in ("passes", "validation_passes"):
                first, last = self._written.get(key, 0), min(len(values), len(against))
                late = key.startswith("validation_")
                new += [(against[n], late, key, values[n]) for n in range(first, last)]
                self._written[key] = last
        # In the same order, however much comes at once.
        for passes, _, key, value in sorted(new, key=lambda each: each[:2]):
            self._write_event(key, int(passes), value)
        if time.monotonic() - self._flushed > _WAIT:
            self._events.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Write all to disk."""
        self._events.flush()
        self._events.close()

    def _write_csv(self, log: Log) -> None:
        found = rows(log)
        names = dict.fromkeys(["passes", "loss", *(name for row in found for name in row)])
        aside = self._csv.with_name(f"{CSV}.new")
        with aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(names), lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)
        aside.replace(self._csv)

    def _write_event(self, tag: str, step: int, value: float) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        tag = tag.replace("validation_", "validation/")
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        self._events.write(Event(step=step, summary=summary).SerializeToString())

"""How far a step is: whole numbers on one line of a terminal, and a line a minute in a log."""

import io
import re
import time

import pytest
from rich.console import Console

from geobench.lab import watching
from geobench.lab.watching import duration, shortened, watch, whole_parts

TITLE = "train lorenz95-multiplicative.archesweather-gen.s0"
TEXT = "loss 0.7188  CRPS 0.6734  gap closed -21.6 %"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _bar(monkeypatch: pytest.MonkeyPatch, width: int, title: str) -> str:
    """The fullest bar that a step of this title shows."""
    stderr = _Terminal()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    with watch(title) as report:
        report(48_000, 64_000, TEXT)
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stderr.getvalue())
    return max((line for line in re.split("[\r\n]", printed) if "75%" in line), key=len).rstrip()


@pytest.mark.parametrize("width", [60, 80, 100, 130, 200])
@pytest.mark.parametrize("title", [TITLE, "train tiny.fgn.s0"])
def test_a_bar_stays_on_one_line_and_cuts_no_number(
    monkeypatch: pytest.MonkeyPatch, width: int, title: str
) -> None:
    bar = _bar(monkeypatch, width, title)
    assert len(bar) <= width
    assert bar.startswith("train ")
    assert bar.split(" ")[1].endswith(".s0")  # the end of a name tells it from others
    numbers = re.findall(r"-?\d+\.\d+", bar)
    assert numbers == ["0.7188", "0.6734", "-21.6"][: len(numbers)]
    assert len(numbers) > 0
    assert width < 130 or bar.endswith(TEXT)


def test_a_log_gets_a_line_a_minute_even_while_a_step_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "EVERY", 0.01)
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)

    def lines(sought: str) -> None:
        while sought not in stderr.getvalue():
            time.sleep(0.001)

    with watch(TITLE) as report:
        lines(f"{TITLE}  0 s so far\n")
        report(16_000, 64_000, TEXT)
        lines(f"{TITLE}  16,000 of 64,000  {TEXT}  about ")
    told = stderr.getvalue()
    assert "\x1b" not in told
    assert re.search(r"  about \d+ s left\n", told)
    assert told.splitlines()[-1] == f"{TITLE}  0 s  {TEXT}"
    time.sleep(0.05)
    assert stderr.getvalue() == told  # nobody goes on when the step has ended


def test_the_rest_takes_as_long_as_what_is_done_did(monkeypatch: pytest.MonkeyPatch) -> None:
    step = watching._Step("score a", 25, 100, "", began=100.0)
    monkeypatch.setattr(time, "perf_counter", lambda: 160.0)
    assert step.line() == "score a  25 of 100  about 3 min left"
    step.report(100, 100, "done")
    assert step.line() == "score a  100 of 100  done  60 s so far"


def test_a_log_says_nothing_of_short_steps_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    with watch("score a.b") as report:
        report(1, 2, "")
    assert stderr.getvalue() == ""
    assert Console(file=stderr).is_terminal is False


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (89, "89 s"), (180, "3 min"), (7200, "2.0 h")]
)
def test_durations_have_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_titles_lose_their_middle_and_texts_whole_parts() -> None:
    assert shortened("train a.fgn.s0", 20) == "train a.fgn.s0"
    assert shortened("train a-long-name.fgn.s0", 16) == "train a…e.fgn.s0"
    assert whole_parts(TEXT, 100) == TEXT
    assert whole_parts(TEXT, 27) == "loss 0.7188  CRPS 0.6734"
    assert whole_parts(TEXT, 5) == ""

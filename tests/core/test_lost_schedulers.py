"""A piece of work on a dask scheduler: what becomes of it where workers or the scheduler go."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any

import distributed
import pytest

from geobench import GeobenchError
from geobench.scoring import spreading

ADDRESS = "tcp://127.0.0.1:1"


class _Piece:
    """A future that raises, or returns, what it is given; it may be late."""

    def __init__(self, result: object, late: float = 0) -> None:
        self.given, self.late = result, late

    def done(self) -> bool:
        return self.late <= 0

    def wait(self) -> None:
        """Time out while the piece is late; it may end right after that."""
        if self.late > 0:
            self.late -= 1
            raise TimeoutError

    def result(self) -> object:
        if isinstance(self.given, BaseException):
            raise self.given
        return self.given


class _Client:
    """A client whose scheduler answers with numbers of workers, or with errors, in turn."""

    def __init__(self, *answers: object) -> None:
        self.scheduler, self.answers = SimpleNamespace(ncores="ncores"), list(answers)

    def sync(self, _: object, *, callback_timeout: float) -> dict[int, int]:
        assert callback_timeout == spreading.ANSWERS
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, int)
        return dict.fromkeys(range(answer), 1)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Half a minute passes between two looks, and none of it is waited for."""
    times = iter(range(1, 10**6, 30))

    def wait(futures: list[_Piece], timeout: float) -> None:
        futures[0].wait()

    monkeypatch.setattr(distributed, "wait", wait)
    monkeypatch.setattr(spreading, "time", SimpleNamespace(monotonic=lambda: next(times)))
    return lambda: next(times)


def _result(piece: _Piece, *answers: object) -> Any:
    return spreading._result(_Client(*answers), piece, ADDRESS)  # type: ignore[arg-type]


def _lost(piece: _Piece, *answers: object) -> str:
    with pytest.raises(GeobenchError) as error:
        _result(piece, *answers)
    assert str(error.value).endswith("what is in the catalog is not done twice.")
    return str(error.value)


def test_a_piece_is_waited_for_as_long_as_somebody_works() -> None:
    assert _result(_Piece(7)) == 7
    assert _result(_Piece(7, late=40.5), *[2] * 40) == 7


def test_a_piece_that_ends_while_it_is_asked_for_is_no_timeout() -> None:
    assert _result(_Piece(7, late=1)) == 7


def test_a_scheduler_may_be_busy_or_without_workers_for_a_while() -> None:
    silent = TimeoutError()
    assert _result(_Piece(7, late=6.5), silent, silent, 1, silent, silent, 1) == 7
    assert _result(_Piece(7, late=6.5), 0, 0, 1, 0, 0, 1) == 7
    assert _result(_Piece(7, late=6.5), 0, silent, silent, 0, 0, 1) == 7  # it may have had some


def test_a_scheduler_that_says_nothing_three_times_is_gone() -> None:
    told = _lost(_Piece(7, late=9), 1, *[TimeoutError()] * 3)
    assert f"at {ADDRESS} is gone: it did not answer 3 times within 10 s" in told


def test_a_scheduler_without_workers_is_given_up() -> None:
    told = _lost(_Piece(7, late=9), 1, 0, 0, 0, 0)
    assert f"the dask scheduler at {ADDRESS} has had no worker for 60 s" in told


@pytest.mark.parametrize("error", [OSError(), CancelledError(), RuntimeError(), AttributeError()])
def test_a_connection_that_breaks_is_a_scheduler_that_is_gone(error: Exception) -> None:
    assert f"the dask scheduler at {ADDRESS} is gone" in _lost(_Piece(7, late=1.5), error)


def test_a_piece_that_is_cancelled_is_a_scheduler_that_is_gone() -> None:
    assert f"the dask scheduler at {ADDRESS} is gone" in _lost(_Piece(CancelledError()))


def test_a_piece_that_ends_its_workers_is_told_to_lack_memory() -> None:
    last = SimpleNamespace(address="tcp://10.0.0.1:9")
    told = _lost(_Piece(distributed.KilledWorker("piece", last, 3)))  # type: ignore[arg-type, no-untyped-call]
    assert "a piece of the scores ended tcp://10.0.0.1:9 and other workers" in told
    assert "they may lack memory" in told


def test_a_timeout_of_the_piece_itself_is_its_own() -> None:
    with pytest.raises(TimeoutError, match="its own"):
        _result(_Piece(TimeoutError("its own")))

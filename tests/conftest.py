"""What every test may rely on: one thread, folders of its own, and costly things made once."""

import inspect
import multiprocessing
import multiprocessing.forkserver
import os
import re
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ |= dict.fromkeys(_THREADS, "1")  # read when numpy, torch and numba are imported, below

import pytest  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402
from numba.core.dispatcher import Dispatcher  # noqa: E402

from geobench.nodes.engine import Engine  # noqa: E402
from geobench.nodes.session import Session  # noqa: E402
from geobench.registry import Registry  # noqa: E402
from geobench_catalog import Catalog  # noqa: E402

pytest.register_assert_rewrite("shown_scorer")  # its asserts tell what they compare

_SAYS_IT_IS_STATISTICAL = re.compile(
    r"false.alarm|standard errors?\b|deviations\)|\d sigma|by chance|once in [\d,]+|"
    r"one in [\d,]+|of [\d,]+ (draws|cases|numbers)|chisquare|kstest"
)


# -- one process beside others


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)
    if hasattr(config.option, "loadscopereorder"):  # xdist is there: hand groups out in our order
        config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three processes for two cores: one of them waits, for a browser, a server or the disk."""
    return -(-3 * len(os.sched_getaffinity(0)) // 2)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share, and no other run."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def _folders_of_its_own(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep this worker away from the caches and temporary files of others, and of earlier runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MPLCONFIGDIR", str(base))  # its list of fonts takes seconds to make
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("t")))
        patch.setattr(tempfile, "tempdir", None)  # which is then read anew
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(base: Path) -> Iterator[None]:
    """Let one worker compile a function: what it has compiled, the others find in numba's cache.

    Two that wrote the cache of one function together could give it the code for other types.
    """
    compile_now, among_threads = Dispatcher.compile, threading.RLock()
    folder = base / "compiling"
    folder.mkdir(exist_ok=True)

    @cache
    def lock(function: str) -> FileLock:
        return FileLock(folder / function, thread_local=False)

    def compile_in_turn(dispatcher: Dispatcher, signature: object) -> object:
        function = dispatcher.py_func
        # A caller's lock is taken before that of what it calls, so nobody waits in a circle.
        with among_threads, lock(f"{function.__module__}.{function.__qualname__}"):
            return compile_now(dispatcher, signature)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "compile", compile_in_turn)
        yield


@pytest.fixture(autouse=True)
def _settings_put_back() -> Iterator[None]:
    """One thread for every test, whatever the one before has set; all else must be left as it was.

    Fixtures of modules and of the session are made between tests, so one thread makes them, too.
    """
    before = torch.get_default_dtype(), Path.cwd()
    yield
    torch.set_num_threads(1)
    assert (torch.get_default_dtype(), Path.cwd()) == before


# -- who runs what, and what is chosen

_LONGEST = (
    "test_site",
    "test_run",
    "test_scorer_conformance",
    "test_object_store",
    "test_cli_simulator",
    "test_generative",
    "test_emulator",
    "test_soundness",
    "test_law_forms",
    "test_protocol",
    "test_exchange",
    "test_training_resumes",
    "test_pieces",
    "test_far_members",
    "test_twins",
    "test_reproduction",
    "test_events_of_fields",
    "test_command_memory",
    "test_bounded_memory",
    "test_how_sure",
    "test_gaussian",
    "test_foreign_members",
    "test_adoption",
)
"""Files that take longest begin first, so that no process is at one while the others are idle."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first, and mark tests that say how often chance fails them."""
    order = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))  # others keep their order
    for item in items:
        if isinstance(item, pytest.Function) and _is_statistical(item.function):
            item.add_marker(pytest.mark.statistical)
    if config.getoption("slowest"):
        _keep_slowest(config, items)


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "of tests measured before, run the N slowest; and all statistical ones"
    parser.addoption("--slowest", type=int, metavar="N", help=told)


def _keep_slowest(config: pytest.Config, items: list[pytest.Item]) -> None:
    seconds: dict[str, float] = config.cache.get(_SECONDS, {})
    if not seconds:
        raise pytest.UsageError("no test was measured yet; run all tests first: make test")
    slowest = sorted(seconds, key=lambda name: -seconds[name])[: config.getoption("slowest")]
    chosen = {*slowest}
    kept, left = [], []
    for item in items:
        wanted = item.nodeid in chosen or item.get_closest_marker("statistical")
        (kept if wanted else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


_SECONDS = "geobench/seconds"  # of each test, in pytest's cache
_measured: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _measured[report.nodeid] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if "PYTEST_XDIST_WORKER" in os.environ or not config.pluginmanager.hasplugin("cacheprovider"):
        return
    if _measured:
        config.cache.set(_SECONDS, config.cache.get(_SECONDS, {}) | dict(_measured))


@cache
def _is_statistical(test: Callable[..., None]) -> bool:
    """Whether its source, or the docstring of its module, speaks of chance."""
    code = test.__code__
    block = inspect.getblock(_lines(code.co_filename)[code.co_firstlineno - 1 :])
    told = "".join([*block, sys.modules[test.__module__].__doc__ or ""])
    return _SAYS_IT_IS_STATISTICAL.search(told) is not None


@cache
def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8").splitlines(keepends=True)


# -- what is made once

Make = Callable[[Path], None]


@pytest.fixture(scope="session")
def once(base: Path) -> Callable[[str, Make], Path]:
    """Give the folder that `make` fills: one worker makes it, and all read it.

    Copy it before you change anything in it.
    """

    def give(name: str, make: Make) -> Path:
        folder, aside = base / "once" / name, base / "making" / name
        with FileLock(base / f"{name}.lock"):
            if not folder.exists():
                shutil.rmtree(aside, ignore_errors=True)  # left by one that failed
                aside.mkdir(parents=True)
                make(aside)
                folder.parent.mkdir(exist_ok=True)
                aside.rename(folder)
        return folder

    return give


@pytest.fixture(scope="session")
def forkserver() -> ForkServerContext:
    """Starts processes that have imported everything: they are at work at once.

    Their functions must be at the top of a module; `SIGKILL` is as good as to any other process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preloaded"])
    with pytest.MonkeyPatch.context() as patch:  # the server's own path, from which it imports
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        multiprocessing.forkserver.ensure_running()
    return context


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def session(tmp_path: Path, registry: Registry) -> Session:
    return Session(Engine(Catalog(tmp_path / "catalog", create=True), registry))

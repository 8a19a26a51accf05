"""The benchmark's own tests: oracle in, oracle out; and no model sees the future."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from geobench import Experiment, Scorer
from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.scoring import scores
from geobench.statistics.resampling import Resampling
from geobench.study import run as running
from geobench.study.file import Study
from geobench.study.graph import StudyGraph
from geobench_catalog import Catalog, Entry


def _experiment(registry: Registry, **fields: object) -> Experiment:
    small = {
        "train": {"trajectories": 40, "steps": 60},
        "validation": {"trajectories": 2, "steps": 10},
        "test": {"trajectories": 200},
        "leads": 5,
    }
    return registry.experiment({"use": "lorenz95", **small, **fields}, "test")


def _study(seed: int) -> Study:
    return Study.model_validate(
        {
            "experiments": {
                "twin": {
                    "use": "lorenz95",
                    "train": {"trajectories": 40, "steps": 60},
                    "validation": {"trajectories": 2, "steps": 10},
                    "test": {"trajectories": 200},
                    "leads": 5,
                    "seed": seed,
                }
            },
            "models": {"oracle": {"use": "oracle"}, "climatology": {"use": "climatology"}},
            "members": 8,
            "reference": {"members": 24},
        }
    )


def test_oracle_in_oracle_out(session: Session, registry: Registry) -> None:
    """The oracle, scored like any model, has excess 0 and spread/skill 1 at every lead.

    Distances are in standard errors of the bootstrap (200 cases), in all 5 leads x 6 columns plus
    the ranking mean; |z| < 5 for a normal z is exceeded by chance with probability 6e-7, so
    the false-alarm rate is below 2e-5 in all. The seed is fixed: the test cannot flake.
    """
    graph = StudyGraph(_study(seed=11), registry)
    (board,) = running.run(graph, session.engine).boards
    oracle = next(i for i, row in enumerate(board.rows) if row.label == "oracle")
    assert [column.name for column in board.columns] == [
        "CRPS", "RMSE", "spread/skill", "Brier 90%", "Brier 95%", "Brier 99%",
    ]  # fmt: skip
    assert board.rows[oracle].rank is None  # it knows the law: no competitor
    assert not board.rows[oracle].suspicious
    assert board.rows[oracle].excess.low < 0 < board.rows[oracle].excess.high
    for column in board.columns:
        for cell in column.cells[oracle]:
            tested, wanted = (
                (cell.score, 1.0) if column.name == "spread/skill" else (cell.excess, 0.0)
            )
            # The 95 % interval spans 3.92 standard errors.
            error = (tested.high - tested.low) / 3.92
            assert abs(tested.value - wanted) < 5 * error, (column.name, cell)


@pytest.fixture(scope="module")
def drawn_by_the_oracle(
    tmp_path_factory: pytest.TempPathFactory, registry: Registry
) -> tuple[Session, Entry, xr.Dataset]:
    session = Session(
        Engine(Catalog(tmp_path_factory.mktemp("oracle") / "catalog", create=True), registry)
    )
    dataset = session.simulate("twin", _experiment(registry))
    oracle = session.forecast(session.train(dataset, registry.model("oracle")), members=8)
    return session, dataset, oracle.load()


@pytest.mark.parametrize(("defect", "column"), [("bias", "CRPS"), ("spread", "spread/skill")])
def test_a_defect_of_the_oracle_is_noticed(
    drawn_by_the_oracle: tuple[Session, Entry, xr.Dataset], defect: str, column: str
) -> None:
    """The same check fails, as it must, when the oracle is spoilt a little: it can fail."""
    session, dataset, drawn = drawn_by_the_oracle
    if defect == "bias":
        spoilt = drawn + 0.15
    else:
        mean = drawn.mean("member")
        spoilt = mean + 0.8 * (drawn - mean)
    scorer = session.registry.scorer("crps" if defect == "bias" else "spread-skill")
    found = [_statistics(session, dataset, each, scorer) for each in (drawn, spoilt)]
    resampling = Resampling(np.arange(200))
    # Draws at the first lead time, of which the first is the estimate.
    right, wrong = (scores(scorer, [each], resampling)[column][0, :, 0] for each in found)
    if defect == "bias":
        excess = wrong - right
        assert excess[0] > 5 * excess[1:].std()
    else:
        assert abs(right[0] - 1) < 5 * right[1:].std()
        assert wrong[0] < 1 - 5 * wrong[1:].std()


def _statistics(session: Session, dataset: Entry, drawn: xr.Dataset, scorer: Scorer) -> xr.Dataset:
    from geobench import scoring

    truth = scoring.verifying(dataset.load("test"), dataset.load("inits"), 5, ["q"])
    (found,) = scoring.statistics(
        [scorer], drawn, truth, session.engine.context(session.engine.dataset(dataset)), block=64
    )
    return found


@pytest.fixture(scope="module")
def two_futures(
    tmp_path_factory: pytest.TempPathFactory, registry: Registry
) -> tuple[Session, Entry, Entry]:
    """Two datasets that differ in everything after every init time, and in nothing else."""
    folder: Path = tmp_path_factory.mktemp("futures")
    session = Session(Engine(Catalog(folder / "catalog", create=True), registry))
    experiment = _experiment(
        registry, test={"trajectories": 5}, train={"trajectories": 8, "steps": 20}, leads=2
    )
    dataset = session.simulate("twin", experiment)
    test, inits = dataset.open("test").load(), dataset.open("inits").load()
    assert set(inits["position"].values) == {experiment.history - 1}
    with session.catalog.draft("dataset", "other", recipe=dataset.record.recipe) as draft:
        later = test["time"] > test["time"][experiment.history - 1]
        for group in ("train", "validation", "climatology", "inits"):
            draft.write(dataset.open(group).load().drop_encoding(), group=group)
        draft.write(test.where(~later, test * -3 + 7).drop_encoding(), group="test")
        other = draft.publish()
    assert not other.open("test").load().equals(test)
    return session, dataset, other


PRESETS = {
    "aifs",
    "aifs-crps",
    "archesweather",
    "archesweather-gen-four",
    "crps-lam",
    "energy-net",
    "gencast",
    "mc-dropout",
}
"""Models that add no code of their own to a family of which another one is tried in `make test`."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] if n in PRESETS else [])
        for kind, n in sorted(Registry().offers)
        if kind == "model"
    ],
)
def test_no_model_sees_what_comes_after_init_time(
    two_futures: tuple[Session, Entry, Entry], registry: Registry, name: str
) -> None:
    """Everything after every init time is replaced: the forecast keeps its bits."""
    session, *datasets = two_futures
    brief: dict[str, object] = {
        "backbone": {"kind": "resnet", "width": 8, "blocks": 2},
        "training": {"passes": 96, "stages": [{"leads": 1}]},
    }
    fields = type(registry.model(name)).model_fields
    given = {key: value for key, value in brief.items() if key in fields}
    if "seeds" in fields:
        given["seeds"] = min(2, fields["seeds"].default)
    model = registry.model({"use": name, **given})
    model = model.with_evaluations(4) or model
    drawn = [
        session.forecast(session.train(each, model), members=3).open()["q"].load()
        for each in datasets
    ]
    assert torch.equal(*(torch.from_numpy(each.values) for each in drawn))


def test_a_forecast_with_other_cases_is_refused(session: Session, registry: Registry) -> None:
    from geobench import GeobenchError

    dataset = session.simulate("twin", _experiment(registry, test={"trajectories": 20}))
    drawn = (
        session.forecast(session.train(dataset, registry.model("oracle")), members=3).open().load()
    )
    scorer = registry.scorer("crps")
    for other in (drawn.isel(init_time=slice(1, None)), drawn.isel(lead_time=slice(None, -1))):
        with pytest.raises(GeobenchError, match="forecast and truth differ in"):
            _statistics(session, dataset, other, scorer)
    shifted = drawn.assign_coords(x=drawn["x"] + 1)
    with pytest.raises(GeobenchError, match="forecast and truth differ in 'x'"):
        _statistics(session, dataset, shifted, scorer)

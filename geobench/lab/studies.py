"""Studies in a lab: comparisons of what is at hand, study files, sites."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError
from geobench.lab.board import Board, Boards
from geobench.lab.dataset import Dataset
from geobench.lab.forecast import Forecast
from geobench.lab.forecaster import Forecaster
from geobench.study import compare as comparing
from geobench.study import pages
from geobench.study import run as running
from geobench.study.file import Study, read_study
from geobench.study.graph import StudyGraph
from geobench.study.published import study_file

if TYPE_CHECKING:
    import pandas as pd

    from geobench.lab.lab import Lab


def compare(
    lab: "Lab",
    models: "Iterable[Forecaster | Forecast] | Forecaster | Forecast",
    data: Dataset | None,
    members: int,
    scorers: Sequence[Any] | None,
    *,
    by_model: bool,
) -> Board:
    """Compare forecasts of one dataset with the true distribution; see `Lab.compare`."""
    given = [models] if isinstance(models, Forecaster | Forecast) else list(models)
    forecasts = [_forecast(lab, model, members) for model in given]
    dataset = _dataset(forecasts, data)
    _check_labels(forecasts)
    recipes = None
    if scorers is not None:
        recipes = tuple(scorer.recipe() for scorer in lab.scorers_of(scorers))
    name = dataset.entry.record.name
    experiment = dataset.experiment
    study = Study(
        title=f"Comparison on {experiment.title or name}",
        experiments={name: experiment.model_dump(mode="json")},
        models={"climatology": "climatology", "oracle": "oracle"},
        members=members,
        scorers=recipes,
    )
    guests = tuple(forecast.reference for forecast in forecasts)
    graph = StudyGraph(study, lab.registry)
    running.run(graph, lab.engine)
    graph.invite(lab.engine, guests)
    outcome = comparing.boards(graph, lab.engine, by_model=by_model)
    if outcome.failures:
        raise outcome.failures[0]
    rows = pages.Rows(guests, by_model=by_model)
    return Boards(lab, study, name, outcome, rows).board(name)


def _forecast(lab: "Lab", model: object, members: int) -> Forecast:
    if isinstance(model, Forecast):
        return model
    if isinstance(model, Forecaster):
        return lab.forecast(model, members=members)
    raise GeobenchError(
        f"a {type(model).__name__} is no forecaster and no forecast. Make one: lab.train(name, "
        f"data), lab.forecaster(network, data, label='…') or lab.take(array, data, '…')."
    )


def _dataset(forecasts: Sequence[Forecast], data: Dataset | None) -> Dataset:
    """Return the one dataset that all forecasts are of."""
    datasets = {forecast.dataset.id: forecast.dataset for forecast in forecasts}
    if data is not None:
        datasets.setdefault(data.id, data)
    if not datasets:
        raise GeobenchError("nothing to compare, and no dataset. Give forecasters, or data=….")
    if len(datasets) > 1:
        names = ", ".join(dataset.reference for dataset in datasets.values())
        raise GeobenchError(
            f"these are of several datasets: {names}. A board compares on one; call lab.compare "
            f"once for each."
        )
    return next(iter(datasets.values()))


def _check_labels(forecasts: Sequence[Forecast]) -> None:
    """Raise if two rows could not be told from one another."""
    seen: dict[tuple[str, int], Forecast] = {}
    for forecast in forecasts:
        key = forecast.label, forecast.seed
        other = seen.setdefault(key, forecast)
        if other != forecast:
            raise GeobenchError(
                f"{other.reference} and {forecast.reference} have the same label and seed: "
                f"{key[0]}, {key[1]}. Give one another label: lab.forecast(…, label='…')."
            )


def read(study: "Study | str | Path", nfe: Sequence[int] = ()) -> tuple[str, Study]:
    """Return a study and what to call it: a file, a published name, or itself."""
    if isinstance(study, Study):
        return "study", study.model_copy(update={"nfe": tuple(nfe)}) if nfe else study
    file = study_file(study)
    return file.stem, read_study(file, tuple(nfe))


def run(lab: "Lab", study: "Study | str | Path", *, nfe: Sequence[int] = ()) -> Boards:
    """Make what is missing, and compare."""
    name, found = read(study, nfe)
    graph = StudyGraph(found, lab.registry)
    made = running.run(graph, lab.engine)
    compared = comparing.boards(graph, lab.engine)
    return Boards(
        lab, found, name, comparing.Outcome(compared.boards, made.failures, compared.comparisons)
    )


def leaderboard(
    lab: "Lab",
    study: "Study | str | Path",
    *,
    guests: Sequence[Forecast] = (),
    by_model: bool = False,
    binned: str | None = None,
    nfe: Sequence[int] = (),
) -> Boards:
    """Compare what is in the catalog."""
    name, found = read(study, nfe)
    graph = StudyGraph(found, lab.registry)
    references = tuple(guest.reference for guest in guests)
    graph.invite(lab.engine, references)
    outcome = comparing.boards(graph, lab.engine, binned, by_model=by_model)
    return Boards(lab, found, name, outcome, pages.Rows(references, by_model=by_model))


def steps(lab: "Lab", study: "Study | str | Path", *, nfe: Sequence[int] = ()) -> "pd.DataFrame":
    """Return kind, name, reference and whether it is done, of every step."""
    import pandas as pd

    _, found = read(study, nfe)
    rows = [
        (node.kind, node.name, entry and str(entry.reference), entry is not None)
        for node, entry in running.plan(StudyGraph(found, lab.registry), lab.engine)
    ]
    return pd.DataFrame(rows, columns=["kind", "name", "reference", "done"])


def site(
    lab: "Lab",
    study: "Mapping[str, Study] | Study | str | Path",
    folder: Path,
    *,
    title: str | None = None,
    guests: Sequence[Forecast | str] = (),
    by_model: bool = False,
    imported: bool = False,
    exchanges: int | None = None,
) -> Path:
    """Build the site; raise what failed."""
    named = [*study.items()] if isinstance(study, Mapping) else [read(study)]
    references = tuple(g if isinstance(g, str) else g.reference for g in guests)
    rows = pages.Rows(references, exchanges, by_model=by_model)
    node = pages.site_node(lab.engine, named, rows, imported=imported, title=title)
    built = lab.engine.build(node, folder)
    if built.failures:
        raise built.failures[0]
    return folder / "index.html"

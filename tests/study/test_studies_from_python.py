"""A study is an object, too: written with plugins, read back equal, and varied."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geobench import Experiment, GeobenchError, Study
from geobench.cli import main
from geobench.registry import Registry, plain_yaml
from geobench.study.graph import StudyGraph
from geobench.study.published import published
from geobench_plugins.models.aifs_crps import AIFSCRPS
from geobench_plugins.models.analog import Analog
from geobench_plugins.models.fgn import FGN
from geobench_plugins.models.oracle import Oracle
from geobench_plugins.scorers.crps import CRPS

SMALL: dict[str, Any] = {
    "use": "lorenz95",
    "spin_up": 2,
    "train": {"trajectories": 20, "steps": 20},
    "validation": {"trajectories": 2, "steps": 8},
    "test": {"trajectories": 20},
    "leads": 2,
}


def _recipes(study: Study, registry: Registry) -> list[Any]:
    return [cell.model.recipe() for cell in StudyGraph(study, registry).cells]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", published())
def test_a_study_that_is_written_is_read_back_equal(name: str, tmp_path: Path) -> None:
    study = Study.read(name)
    text = study.to_yaml(tmp_path / "copy.yaml")
    assert (tmp_path / "copy.yaml").read_text() == text
    assert Study.read(tmp_path / "copy.yaml") == study


@pytest.mark.parametrize(
    "text", ["yes", "1e3", "010", "1:30", "2026-01-01", "null", "~", "a: b", ""]
)
def test_text_that_looks_like_something_else_is_read_back_as_text(text: str) -> None:
    assert plain_yaml.load(plain_yaml.dump({"title": text}), "it") == {"title": text}


@pytest.mark.parametrize("number", [1, -3, 0.1, 1e-7, 1e20, 2.0, True, None])
def test_numbers_are_read_back(number: object) -> None:
    again = plain_yaml.load(plain_yaml.dump([number]), "it")
    assert again == [number]
    assert type(again[0]) is type(number)


def test_plugins_are_the_same_as_what_a_file_says_of_them(registry: Registry) -> None:
    # AIFS-CRPS has groups whose defaults differ from those of their classes.
    objects = {
        "small": FGN(members=4, training={"passes": 1000}),
        "local": FGN(conditioning={"noise": "local"}),
        "aifs": AIFSCRPS(conditioning={"noise": "both"}),
        "analog": Analog(),
    }
    study = Study(
        experiments={"small": SMALL},
        models={**objects, "oracle": "oracle"},
        scorers=[CRPS(), "energy"],
        reference={"use": Oracle(), "members": 4},
    )
    assert study.models["small"] == {"use": "fgn", "members": 4, "training": {"passes": 1000}}
    assert study.models["analog"] == {"use": "analog"}
    assert study.scorers == ("crps", "energy")
    again = Study.model_validate(plain_yaml.load(study.to_yaml(), "it"))
    assert again == study
    recipes = _recipes(study, registry)
    assert all(plugin.recipe() in recipes for plugin in objects.values())


def test_a_list_labels_each_with_its_own_name(registry: Registry) -> None:
    study = Study(experiments=["lorenz95"], models=["persistence", Analog(neighbours=9)])
    assert study.experiments == {"lorenz95": {"use": "lorenz95"}}
    assert study.models == {
        "persistence": "persistence",
        "analog": {"use": "analog", "neighbours": 9},
    }
    with pytest.raises(ValueError, match="'analog' is there twice"):
        Study(experiments=["lorenz95"], models=[Analog(), Analog(neighbours=9)])


def test_an_experiment_may_be_an_object(registry: Registry) -> None:
    built = registry.experiment(SMALL, "small")
    study = Study(experiments={"small": built}, models=["persistence"])
    (graph,) = (StudyGraph(study, registry).of(name) for name in study.experiments)
    assert graph.experiment == built
    assert isinstance(built, Experiment)


def test_variants_replace_the_model_and_several_keys_give_the_product(registry: Registry) -> None:
    study = Study(experiments={"small": SMALL}, models={"fgn": "fgn", "fgn-mine": "fgn"})
    noise = study.vary("models.fgn.conditioning.noise", ["global", "local"], registry)
    assert list(noise.models) == ["fgn--noise-global", "fgn--noise-local", "fgn-mine"]
    both = noise.vary("models.fgn.training.learning_rate", [1e-3, 0.5], registry)
    assert list(both.models) == [
        "fgn--noise-global--learning_rate-0_001",
        "fgn--noise-global--learning_rate-0_5",
        "fgn--noise-local--learning_rate-0_001",
        "fgn--noise-local--learning_rate-0_5",
        "fgn-mine",
    ]
    assert study.models == {"fgn": "fgn", "fgn-mine": "fgn"}  # as it was


def test_variants_have_the_recipes_of_their_values(registry: Registry) -> None:
    study = Study(experiments={"small": SMALL}, models={"fgn": "fgn"}, reference={"members": 4})
    varied = study.vary("models.fgn.conditioning.noise", ["global", "local"], registry)
    varied = varied.vary("models.fgn.members", [8, 16], registry)
    labels = [f"fgn--noise-{n}--members-{h}" for n in ("global", "local") for h in (8, 16)]
    assert list(varied.models) == labels
    wanted = [
        FGN(conditioning={"noise": n}, members=h).recipe()
        for n in ("global", "local")
        for h in (8, 16)
    ]
    assert [r for r in _recipes(varied, registry) if r["use"] == "fgn"] == wanted


def test_experiments_are_varied_and_the_baseline_stays(registry: Registry) -> None:
    study = Study(experiments={"small": SMALL}, models=["analog"], baseline="analog")
    forcing = study.vary("experiments.small.simulator.forcing", [8, 10.5], registry)
    assert list(forcing.experiments) == ["small--forcing-8", "small--forcing-10_5"]
    built = StudyGraph(forcing, registry).experiments
    assert [e.simulator["forcing"] for e in built.values()] == [8, 10.5]
    kept = study.vary("models.analog.neighbours", [5], registry)
    assert list(kept.models) == ["analog", "analog--neighbours-5"]


def test_plugins_that_are_not_installed_may_be_varied(registry: Registry) -> None:
    """They may be registered where the study runs, as those of a notebook are."""
    study = Study(experiments={"mine": {**SMALL, "simulator": {"use": "mine"}}}, models=["mine"])
    models = study.vary("models.mine.width", [1, 2], registry).models
    assert models["mine--width-2"] == {"use": "mine", "width": 2}
    varied = study.vary("experiments.mine.simulator.forcing", [1], registry).experiments
    assert varied["mine--forcing-1"]["simulator"] == {"use": "mine", "forcing": 1}


def test_a_study_is_printed_as_its_file() -> None:
    assert str(Study.read("quick")) == Study.read("quick").to_yaml()


def test_labels_are_legal_and_differ_whatever_the_values_are(registry: Registry) -> None:
    study = Study(experiments={"small": SMALL}, models=["fgn"])
    stages = [[{"leads": 1, "share": 0.5}, {"leads": n, "share": 0.5}] for n in (1, 2)]
    varied = study.vary("models.fgn.training.stages", stages, registry)
    assert len(varied.models) == 2
    assert len(StudyGraph(varied, registry).cells) == 4  # with the reference and the baseline


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("models.fng.hidden", [1], "the study has no model 'fng'. Did you mean 'fgn'?"),
        ("experiments.smal.leads", [1], "no experiment 'smal'. Did you mean 'small'?"),
        ("model.fgn.hidden", [1], "Did you mean 'models.…'?"),
        ("members", [4, 8], "Write models.LABEL.FIELD or experiments.NAME.FIELD"),
        ("models.fgn", ["fgn"], "'models.fgn' cannot be varied"),
        ("models.fgn.membrs", [1], "there is no key 'membrs'. Did you mean 'members'?"),
        (
            "models.fgn.conditioning.nois",
            ["x"],
            "no key 'conditioning.nois'. Did you mean 'conditioning.noise'",
        ),
        ("models.fgn.conditioning.noise", ["x"], "conditioning.noise = 'x'"),
        ("models.fgn.members", "8", "is no list of values"),
        ("models.fgn.members", [], "is no list of values"),
        ("models.fgn.members", [8, 8], "a value is given twice"),
        ("models.theirs.hidden", [8], "it is a forecast that was imported"),
        ("experiments.small.leeds", [8], "there is no key 'leeds'. Did you mean 'leads'?"),
    ],
)
def test_what_cannot_be_varied_is_said_in_one_line(
    key: str, values: Any, message: str, registry: Registry
) -> None:
    study = Study(
        experiments={"small": SMALL},
        models={"fgn": "fgn", "theirs": {"forecast": "forecast/a@1"}},
    )
    with pytest.raises(GeobenchError) as raised:
        study.vary(key, values, registry)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def _geobench(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["-q", "--catalog", str(folder / "catalog"), *map(str, words)])


def test_a_varied_study_runs_is_shown_again_and_finds_what_the_original_made(
    tmp_path: Path,
) -> None:
    study = Study(
        experiments={"small": SMALL},
        models={"analog": Analog(neighbours=5)},
        members=3,
        scorers=["crps"],
        reference={"members": 4},
    )
    file = tmp_path / "study.yaml"
    study.to_yaml(file)
    assert _geobench(tmp_path, "run", file).exit_code == 0
    vary = ("--vary", "models.analog.neighbours=5,7")
    planned = _geobench(tmp_path, "run", file, *vary, "--dry-run").stdout
    steps = {line.split()[-1]: line.split()[0] for line in planned.splitlines() if line.strip()}
    assert steps["forecaster/small.analog.s0@1"] == "done"
    assert steps["small.analog--neighbours-7.s0"] == "to"
    boards = []
    for words in (("run", file), ("leaderboard", file)):
        result = _geobench(tmp_path, *words, *vary, "--json")
        assert result.exit_code == 0, result.output
        boards.append(json.loads(result.stdout))
    (board,) = boards[0]
    labels = {row["label"] for row in board["rows"]}
    assert labels == {"climatology", "analog--neighbours-5", "analog--neighbours-7"}
    assert boards[0] == boards[1]
    site = ("leaderboard", "build", file, *vary, "--out", tmp_path / "site")
    assert _geobench(tmp_path, *site).exit_code == 0


def test_a_variation_without_values_says_how_it_is_written(tmp_path: Path) -> None:
    result = _geobench(tmp_path, "run", "quick", "--vary", "models.fgn.members", "--dry-run")
    assert result.exit_code == 2
    assert "varies nothing: write --vary KEY=V1,V2" in result.stderr

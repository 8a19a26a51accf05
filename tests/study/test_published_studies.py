"""The published studies are named without a path, and a first study file is written."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geobench import GeobenchError, Study
from geobench.cli import main
from geobench.registry import Registry
from geobench.study.published import published, study_file
from geobench.study.sizes import sizes

ROOT = Path(__file__).parents[2]


def _geobench(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["-q", "--catalog", str(folder / "catalog"), *map(str, words)])


def test_every_study_of_the_repository_is_published() -> None:
    assert list(published().values()) == sorted(ROOT.glob("studies/*.yaml"))
    assert study_file("quick") == ROOT / "studies/quick.yaml"


def test_a_file_comes_before_a_published_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quick").write_text("experiments: {}")
    assert study_file("quick") == Path("quick")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("quik", "Did you mean 'quick'? Published studies: ablations, "),
        ("mine", "To write one: geobench study new NAME."),
        (
            "quick.yaml",
            "there is no file quick.yaml. Check the path. The published study is called",
        ),
        ("some/mine.yaml", "there is no file some/mine.yaml. Check the path."),
    ],
)
@pytest.mark.parametrize(
    "command", [("run",), ("leaderboard",), ("leaderboard", "build", "--out", "site")]
)
def test_an_unknown_study_is_one_line_with_what_to_do(
    named: str, message: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    result = _geobench(tmp_path, *command, named)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_published_study_is_planned_by_its_name(tmp_path: Path) -> None:
    by_name = _geobench(tmp_path, "run", "quick", "--dry-run")
    assert by_name.exit_code == 0, by_name.output
    by_path = _geobench(tmp_path, "run", ROOT / "studies/quick.yaml", "--dry-run")
    assert by_name.stdout == by_path.stdout


def test_the_list_says_how_large_each_study_is(registry: Registry) -> None:
    known = {size.name: size for size in sizes(registry)}
    assert set(known) == set(published())
    quick = known["quick"]
    assert (quick.trainings, quick.sample_passes) == (2, 300_000)
    assert quick.experiments == ["lorenz95-quick"]
    # Rows with the same network share one training: gencast and gencast-39.
    generative = known["generative"]
    assert (len(generative.models), generative.trainings) == (8, 4)


def test_studies_are_listed_and_shown(tmp_path: Path) -> None:
    listed = json.loads(_geobench(tmp_path, "study", "list", "--json").stdout)
    assert {study["name"] for study in listed} == set(published())
    table = _geobench(tmp_path, "study", "list").stdout
    assert all(f"  {name}  " in table for name in published())
    shown = _geobench(tmp_path, "study", "show", "quick")
    assert shown.stdout == published()["quick"].read_text()
    fields = json.loads(_geobench(tmp_path, "study", "show", "quick", "--json").stdout)
    assert Study.model_validate(fields) == Study.read("quick")


def test_a_new_study_file_says_what_it_compares_and_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _geobench(tmp_path, "study", "new", "mine")
    assert result.exit_code == 0, result.output
    assert (result.stdout, result.stderr) == ("mine.yaml\n", "Run it: geobench run mine.yaml\n")
    text = Path("mine.yaml").read_text()
    assert text.count("#") > 10
    assert Study.read("mine.yaml").title == "mine"
    planned = _geobench(tmp_path, "run", "mine.yaml", "--dry-run")
    assert "to do  forecaster  lorenz95-small.fgn.s0" in planned.stdout
    again = _geobench(tmp_path, "study", "new", "mine")
    assert again.exit_code == 2
    assert "mine.yaml is there already, and nothing was written" in again.stderr
    assert Path("mine.yaml").read_text() == text


@pytest.mark.slow
def test_a_new_study_file_runs_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert _geobench(tmp_path, "study", "new", "mine", "--out", file).exit_code == 0
    result = _geobench(tmp_path, "run", file)
    assert result.exit_code == 0, result.output
    assert "fgn" in result.stdout


def test_a_new_study_file_may_be_a_copy_of_a_published_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    result = _geobench(tmp_path, "study", "new", "mine", "--from", "quick", "--out", file, "--json")
    assert json.loads(result.stdout) == {"file": str(file), "next": f"geobench run {file}"}
    assert file.read_text() == published()["quick"].read_text()


def test_a_name_that_is_a_path_is_refused(tmp_path: Path) -> None:
    result = _geobench(tmp_path, "study", "new", "../mine")
    assert result.exit_code == 2
    assert "'../mine' cannot name a study" in result.stderr


def test_an_unreadable_study_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("modles: {}")
    with pytest.raises(GeobenchError, match=r"a\.yaml: .*there is no key 'modles'"):
        Study.read(tmp_path / "a.yaml")

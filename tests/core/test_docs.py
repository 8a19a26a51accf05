"""What the documentation shows works as shown."""

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from geobench import Experiment
from geobench.cli import main
from geobench.contracts import hookspecs
from geobench.registry import Registry

ROOT = Path(__file__).parents[2]
_SIZES = {"frames", "training", "conditioning", "objective", "groups", "hidden", "dropout"}
PAGES = {
    page: (ROOT / page).read_text("utf-8")
    for page in (
        "README.md",
        "docs/plugins.md",
        "docs/catalog.md",
        "docs/commands.md",
        "docs/leaderboard.md",
        "docs/models.md",
        "docs/training.md",
        "docs/plots.md",
    )
}


def _files(folder: Path) -> list[Path]:
    """Write every code block that begins with a file's name into that file."""
    files = []
    for page in PAGES.values():
        for name, text in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.S):
            files.append(folder / name)
            files[-1].write_text(text)
    return files


def test_the_plugins_in_the_docs_run(tmp_path: Path) -> None:
    files = _files(tmp_path)
    assert [file.name for file in files] == [
        "mine.py", "drift.py", "red_noise.py", "median_error.py", "nudging.py",
    ]  # fmt: skip
    (block,) = re.findall(r"```yaml\n(experiments:.*?)```", PAGES["docs/plugins.md"], re.S)
    study = yaml.safe_load(block) | {
        "models": {
            "wobble": {"use": "wobble"},
            "drift": {"use": "drift", "damping": 0.4},
            "oracle": "oracle",
        },
        "scorers": ["crps", "median-error"],
        "members": 4,
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    words = [word for file in files for word in ("--plugin", str(file))]
    words += ["-q", "--catalog", str(tmp_path / "catalog"), "run", str(tmp_path / "study.yaml")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    for label in ("oracle*", "climatology", "wobble", "drift"):
        assert label in result.stdout


def test_the_study_in_the_docs_is_built_as_shown(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geobench.study.file import Study
    from geobench.study.graph import StudyGraph

    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(
        r"```python\n(from geobench import Study\n.*?)```", PAGES["docs/plugins.md"], re.S
    )
    names: dict[str, Any] = {}
    exec(block, names)
    varied = Study.read("mine.yaml")
    assert {"fgn--noise-global", "fgn--noise-local"} <= set(varied.models)
    assert {cell.label for cell in StudyGraph(names["study"], registry).cells} == {
        "reference", "climatology", "small", "analog",
    }  # fmt: skip


def test_every_builtin_hook_and_key_is_in_the_docs(registry: Registry) -> None:
    from geobench.study.file import Study

    text = PAGES["docs/plugins.md"]
    for kind, name in registry.offers:
        assert f"| {kind} | `{name}` |" in text
    for key in Study.model_fields:
        assert f"| `{key}` |" in text
    described = text[text.index("| key of an experiment |") :]
    for key in Experiment.model_fields:
        assert f"`{key}`" in described.partition("\n\n")[0]
    hooks = [name for name in vars(hookspecs) if name.startswith("geobench_")]
    assert len(hooks) == 6
    for hook in hooks:
        assert hook in text


@pytest.mark.parametrize("study", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_studies_are_valid(study: Path, tmp_path: Path) -> None:
    words = ["--catalog", str(tmp_path / "none"), "run", str(study), "--dry-run"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("to do  dataset")


def test_the_models_shown_can_be_made_and_their_fields_are_described(registry: Registry) -> None:
    text = PAGES["docs/models.md"]
    (block,) = re.findall(r"```yaml\n(models:.*?)```", text, re.S)
    shown = yaml.safe_load(block)["models"]
    assert len({str(registry.model(recipe).recipe()) for recipe in shown.values()}) == len(shown)
    fgn: Any = registry.model("fgn")
    for field in (*type(fgn).model_fields, *type(fgn.conditioning).model_fields):
        if field not in _SIZES:
            assert f"`{field}`" in text.replace("conditioning.", ""), field
    for field in type(fgn.training).model_fields:
        assert f"`{field}`" in PAGES["docs/training.md"], field


def test_links_lead_somewhere() -> None:
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_every_command_of_the_catalog_is_in_its_page() -> None:
    from geobench.cli.catalog import catalog

    text, names = PAGES["docs/catalog.md"], catalog.commands
    for name in names:
        assert f"catalog {name}" in text
    # And what the page shows are commands and options that there are.
    for shown in re.findall(r"^geobench (?:--catalog \S+ )?catalog (.*)$", text, re.M):
        words = shown.split("#")[0].split()
        options = {option for each in names[words[0]].params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= options


def test_the_project_file_that_is_shown_is_read(tmp_path: Path) -> None:
    from geobench.registry.project import NAME, read_project

    (block,) = re.findall(r"```toml\n(.*?)```", PAGES["docs/commands.md"], re.S)
    (tmp_path / NAME).write_text(block)
    (tmp_path / "mine.py").touch()
    project = read_project(tmp_path)
    assert project.catalog == str(tmp_path / "results")
    assert set(project.settings()) | {"plugins"} == {
        line.partition(" ")[0] for line in block.splitlines()
    }
    assert project.plugins == (tmp_path / "mine.py",)


def test_commands_that_the_page_of_commands_shows_can_be_read() -> None:
    from geobench_catalog.commands.shared_options import in_front

    (block,) = re.findall(r"```\n(geobench --catalog.*?)```", PAGES["docs/commands.md"], re.S)
    orders = [line.partition("#")[0].split()[1:] for line in block.splitlines()]
    first, second = (set(in_front(click.Context(main), words)[:3]) for words in orders)
    assert first == second == {"--catalog", "demo/catalog", "--quiet"}

"""STUDY, the argument of several commands: a file or the name of a published study."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geobench.cli.settings import Settings
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from geobench.study.file import Study


class StudyFile(click.ParamType[Path]):
    """A study file, or the name of a published study."""

    name = "study"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the file."""
        from geobench.study.published import study_file

        return study_file(str(value))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Complete names of published studies; files where none begins so."""
        from click.shell_completion import CompletionItem

        from geobench.study.published import published

        names = [CompletionItem(name) for name in published() if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


vary_option = click.option(
    "--vary",
    "varied",
    multiple=True,
    metavar="KEY=V1,V2",
    help="Replace a model or an experiment by variants, one for each value, e.g. "
    "models.fgn.conditioning.noise=global,local. Can be repeated: then all combinations are made.",
)


def read(settings: Settings, file: Path, nfe: tuple[int, ...], varied: Sequence[str]) -> "Study":
    """Read a study file; with `nfe` in place of its own, and with variants."""
    from geobench.study.file import read_study

    study = read_study(file, nfe)
    for text in varied:
        key, values = _key_and_values(text)
        study = study.vary(key, values, settings.plugins)
    return study


def _key_and_values(text: str) -> tuple[str, list[object]]:
    from geobench.registry import plain_yaml

    key, equals, values = text.partition("=")
    if not (key and equals and values.strip()):
        raise GeobenchError(
            f"'{text}' varies nothing: write --vary KEY=V1,V2, for example "
            f"models.fgn.training.passes=10000,20000."
        )
    return key.strip(), plain_yaml.load(f"[{values}]", f"the values of '{text}'")

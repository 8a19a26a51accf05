"""A first study file: a small example with comments, or a copy of a published study."""

import json
import re
from pathlib import Path
from string import Template

from geobench.errors import GeobenchError
from geobench.study.file import Study


def write_new(name: str, file: Path, start: Path | None = None) -> Path:
    """Write a first study file, or a copy of `start`; refused where there is a file already."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", name):
        raise GeobenchError(
            f"'{name}' cannot name a study. Use letters, digits, '.', '_' and '-', starting with a "
            f"letter or digit."
        )
    if start:
        Study.read(start)  # what cannot be read is not copied
        text = start.read_text("utf-8")
    else:
        template = Path(__file__).with_name("new.yaml").read_text("utf-8")
        text = Template(template).substitute(title=json.dumps(name))
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise GeobenchError(
            f"{file} is there already, and nothing was written. Choose another name, or --out FILE."
        ) from None
    except OSError as error:
        raise GeobenchError(
            f"{file} cannot be written ({error.strerror}). Choose another file by --out."
        ) from error
    return file

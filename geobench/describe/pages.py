"""A description as a page: Markdown, or one HTML file with its picture inside."""

import base64
from collections.abc import Sequence
from dataclasses import replace

from geobench.tables import html as html_table
from geobench.tables import markdown as markdown_table
from geobench.tables.table import Table


def markdown(title: str, sections: Sequence[Table], command: str, picture: str = "") -> str:
    """Write headings, tables and notes, the command that made them, and a link to the picture."""
    parts = [f"# {title}", f"Measured by\n\n```\n{command}\n```"]
    if picture:
        parts.append(f"![{_alternative(title)}]({picture})")
    for section in sections:
        parts.append(f"## {section.title}")
        if section.rows:
            parts.append(markdown_table.body(section))
        parts += section.notes
    return "\n\n".join(parts) + "\n"


def html(title: str, sections: Sequence[Table], command: str, picture: bytes) -> str:
    """Render the same, `picture` being a PNG. Every text is escaped; there is no script."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geobench.describe"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["table"] = html_table.html
    return environment.get_template("description.html").render(
        title=title,
        sections=[(section, replace(section, title="", notes=())) for section in sections],
        command=command,
        alternative=_alternative(title),
        picture=base64.b64encode(picture).decode(),
    )


def _alternative(title: str) -> str:
    """Say what the picture shows."""
    return f"{title}: charts of the numbers below, and a sample of the climate"

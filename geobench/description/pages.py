"""A description as a page: Markdown, or one HTML file with its picture inside."""

import base64

from geobench.description.section import Section


def markdown(title: str, sections: list[Section], command: str, picture: str = "") -> str:
    """Write headings, tables and notes, the command that made them, and a link to the picture."""
    parts = [f"# {title}", f"Measured by\n\n```\n{command}\n```"]
    if picture:
        parts.append(f"![{_alternative(title)}]({picture})")
    for section in sections:
        parts.append(f"## {section.title}")
        if section.rows:
            parts.append(_table(section))
        parts += section.notes
    return "\n\n".join(parts) + "\n"


def _table(section: Section) -> str:
    side = "---:" if section.named else "---"
    lines = [section.headers, ("---", *[side] * (len(section.headers) - 1)), *section.rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def html(title: str, sections: list[Section], command: str, picture: bytes) -> str:
    """Render the same, `picture` being a PNG. Every text is escaped; there is no script."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geobench.description"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("description.html").render(
        title=title,
        sections=sections,
        command=command,
        alternative=_alternative(title),
        picture=base64.b64encode(picture).decode(),
    )


def _alternative(title: str) -> str:
    """Say what the picture shows."""
    return (
        f"{title}: climatological density, autocorrelation, spread and error growth, Lyapunov "
        "exponents, difficulty, and a sample"
    )

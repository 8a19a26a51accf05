"""A description as a Markdown page."""

from geobench.description.section import Section


def page(
    title: str, sections: list[Section], *, command: str, picture: str = "", about: str = ""
) -> str:
    """Headings, tables and notes, the command that made it, and its picture if there is one."""
    parts = [f"# {title}"]
    if about:
        parts.append(about)
    parts.append(f"Measured by\n\n```\n{command}\n```")
    if picture:
        parts.append(f"![{_alternative(title)}]({picture})")
    for section in sections:
        parts.append(f"## {section.title}")
        if section.rows:
            parts.append(_table(section))
        parts += section.notes
    return "\n\n".join(parts) + "\n"


def _alternative(title: str) -> str:
    return (
        f"{title}: climatological density, autocorrelation, spread and error growth, Lyapunov "
        "exponents, difficulty, and a sample"
    )


def _table(section: Section) -> str:
    side = "---:" if any(section.headers) else "---"
    lines = [section.headers, ("---", *[side] * (len(section.headers) - 1)), *section.rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)

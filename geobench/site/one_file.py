"""The pages of boards in one file, with style, scripts, charts and pictures in it."""

from collections.abc import Sequence

from geobench.site.board_pages import BoardPages
from geobench.site.build import ASSETS, SCRIPTS, described
from geobench.site.glossary import glossary
from geobench.site.page import LinksInFile
from geobench.site.rendering import render


def one_file(boards: Sequence[BoardPages], *, title: str, notes: Sequence[str] = ()) -> str:
    """Return the text of the file. The pages must have been made for it (`Shown.in_file`)."""
    from markupsafe import Markup

    style = (ASSETS / "site.css").read_text("utf-8")
    scripts = [(ASSETS / name).read_text("utf-8") for name in SCRIPTS]
    # Our own files; within a script only its end needs another form.
    inlined = [Markup(text.replace("</script", r"<\/script")) for text in scripts]  # noqa: S704
    return render(
        "one_file.html",
        site=described(boards, title, notes),
        glossary=glossary(boards, LinksInFile()),
        styles=Markup(style),  # noqa: S704
        scripts=inlined,
    )

"""Names of files for things that people named: safe anywhere, and no two alike."""

import hashlib
import re
import unicodedata

_LONGEST = 60


def slug(name: str) -> str:
    """Return lower-case letters, digits, "_" and "-"; with a digest where something is lost.

    Names that differ get slugs that differ, and no slug is a path, hidden, or too long for a file.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    short = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:_LONGEST].strip("-")
    if short and short == name:
        return short
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{short}-{digest}" if short else digest

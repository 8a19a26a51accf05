"""Sizes in bytes, as people write them: 512MB, 2GiB."""

from geobench.errors import GeobenchError

_LEAST = 2**20


def read_size(text: str) -> int:
    """Read a size with its unit; `GeobenchError` if it is none, or less than 1 MiB."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    no_size = f"'{text}' is no size; write 512MB or 2GiB."
    # Alone it also takes bits, bytes without a unit, and whatever follows a size.
    if not (text.endswith("B") and ByteSize.byte_string_re.fullmatch(text)):
        raise GeobenchError(no_size)
    try:
        size = int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise GeobenchError(no_size) from None
    if size < _LEAST:
        raise GeobenchError(f"{text} is too little; give 1MiB or more.")
    return size


def size_text(size: int) -> str:
    """Write a size with the unit that suits it."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"

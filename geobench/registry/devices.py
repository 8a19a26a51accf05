"""Devices that torch can use here, and what to say of one that it cannot."""

import difflib

_MEANT = {"gpu": "cuda", "nvidia": "cuda", "metal": "mps", "apple": "mps"}
_NAMES = ("cpu", "cuda", "mps")


def usable() -> list[str]:
    """Return the devices that networks can run on; GPUs with their names behind them."""
    import torch

    found = ["cpu"]
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        found += [f"cuda:{n} ({torch.cuda.get_device_name(n)})" for n in range(count)]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def refusal(device: str) -> str | None:
    """Return why torch cannot use a device, in a sentence; None if it can."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].removesuffix(".")
        name = device.partition(":")[0].lower()
        close = [_MEANT[name]] if name in _MEANT else difflib.get_close_matches(name, _NAMES, n=1)
        if reason.startswith(("Expected one of", "Invalid device string")):
            hint = f" Did you mean '{close[0]}'?" if close else ""
            reason = f"torch knows no device of this name.{hint}"
        else:
            reason += "."
        return f"'{device}' cannot be used: {reason} Usable here: {', '.join(usable())}."
    return None

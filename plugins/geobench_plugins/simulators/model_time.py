"""Model time of Lorenz (1996): one unit is five days."""

HOURS_PER_UNIT = 120.0


def whole_steps(output_hours: float, dt: float) -> int:
    """Time steps of `dt` units in an output step; `ValueError` unless that is a whole number."""
    steps = output_hours / HOURS_PER_UNIT / dt
    if round(steps) < 1 or abs(steps - round(steps)) > 1e-6:
        raise ValueError(
            f"output_hours = {output_hours:g} is {steps:.3f} steps of dt = {dt:g} "
            f"({dt * HOURS_PER_UNIT:g} h); make it a whole number"
        )
    return round(steps)

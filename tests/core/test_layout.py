"""Chunks hold what is used together."""

import numpy as np
import xarray as xr

from geobench.forecasts import layout


def test_chunks_of_a_forecast_hold_what_is_used_together() -> None:
    small = {"init_time": 512, "lead_time": 10, "member": 50, "x": 40}
    chunks, shards = layout.of_forecast(small, 4)
    assert chunks == {"init_time": 16, "lead_time": 10, "member": 50}
    assert shards is None
    large = {"init_time": 100, "lead_time": 10, "member": 20, "y": 64, "x": 64}
    chunks, shards = layout.of_forecast(large, 4)
    assert chunks == {"init_time": 1, "lead_time": 1, "member": 20}
    assert shards == {"init_time": 1, "lead_time": 10, "member": 20}
    # The members of one field alone are many chunks: then they are cut.
    chunks, _ = layout.of_forecast(large | {"member": 5000}, 4)
    assert chunks["member"] == 512
    assert layout.of_forecast(large, 4, most=7).chunks["member"] == 4


def test_chunks_of_trajectories_hold_windows() -> None:
    def of(shape: tuple[int, ...]) -> layout.Layout:
        dims = ("trajectory", "time", "y", "x")[: len(shape)]
        values = np.broadcast_to(np.float32(0), shape)
        return layout.of_trajectories(xr.Dataset({"q": (dims, values)}), "trajectory")

    assert of((64, 200, 40)).chunks == {"trajectory": 64}
    assert of((64, 5000, 40)).chunks == {"trajectory": 2}
    assert of((4, 3650, 64, 64)).chunks == {"trajectory": 1, "time": 128}
    assert of((4, 3650, 256, 256)).chunks == {"trajectory": 1, "time": 64}

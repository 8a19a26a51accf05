"""Settings of the process are put back, whatever happens meanwhile."""

import threadpoolctl
import torch

from geobench.training.numerics import settled


def _settings() -> dict[str, object]:
    return {
        "threads": torch.get_num_threads(),
        "blas": [
            pool["num_threads"]
            for pool in threadpoolctl.threadpool_info()
            if pool["user_api"] == "blas"
        ],
        "dtype": torch.get_default_dtype(),
        "precision": torch.get_float32_matmul_precision(),
        "tf32": torch.backends.cudnn.allow_tf32,
        "benchmark": torch.backends.cudnn.benchmark,
    }


def test_settings_hold_meanwhile_and_are_put_back() -> None:
    try:
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("medium")
        torch.backends.cudnn.benchmark = torch.backends.cudnn.allow_tf32 = True
        before = _settings()
        raised = False
        try:
            with settled(3) as threads:
                assert threads == 3
                held = _settings()
                torch.set_num_threads(1)  # by what runs meanwhile
                torch.set_default_dtype(torch.float16)
                raise InterruptedError
        except InterruptedError:
            raised = True
        assert raised
        assert _settings() == before
        assert held["threads"] == 3
        assert set(held["blas"]) == {3}  # type: ignore[call-overload]
        assert (held["dtype"], held["precision"]) == (torch.float32, "highest")
        assert (held["tf32"], held["benchmark"]) == (False, False)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = False, True


def test_without_a_number_the_threads_stay_as_they_are() -> None:
    torch.set_num_threads(2)
    with settled() as threads:
        assert threads == 2
        assert torch.get_num_threads() == 2

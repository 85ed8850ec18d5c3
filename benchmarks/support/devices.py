"""What a benchmark runs on, JAX's side and PyTorch's alike."""

from __future__ import annotations

import os
from typing import Any

import jax
from innerloop.runtime.surroundings import devices


def shared() -> None:
    """Leaves PyTorch room on the same card: JAX takes what it needs, not most of it. Before JAX is first used."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def on_cpu() -> bool:
    """Whether JAX computes on the CPU, whose seconds then tell more than the clock's."""
    return bool(devices()[0].platform == "cpu")


def named() -> str:
    """ "JAX 0.10.2 on cpu, 2 threads", or on "NVIDIA H100 80GB HBM3"."""
    cores = f"cpu, {len(os.sched_getaffinity(0))} threads"
    return f"JAX {jax.__version__} on {cores if on_cpu() else devices()[0].device_kind}"


def beside() -> Any:
    """PyTorch's device: the same card as JAX's, or the CPU."""
    import torch

    return torch.device("cpu" if on_cpu() else "cuda")


def on_threads(count: int | None) -> None:
    """Leaves each side so many threads; None: all. XLA starts as many as it has cores, when it is first used."""
    import torch

    if count is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
        torch.set_num_threads(count)


def both_named(before: float) -> str:
    """What both sides run on, and what else ran on the machine; `before`: its load when the benchmark began."""
    import torch

    here = f"cpu, {torch.get_num_threads()} threads" if on_cpu() else torch.cuda.get_device_name()
    load = f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    return f"{named()}; PyTorch {torch.__version__} on {here}; {load}"

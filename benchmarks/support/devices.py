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


def torch_named() -> str:
    import torch

    here = f"cpu, {torch.get_num_threads()} threads" if on_cpu() else torch.cuda.get_device_name()
    return f"PyTorch {torch.__version__} on {here}"

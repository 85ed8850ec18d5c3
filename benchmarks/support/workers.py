"""Jobs in processes that are replaced now and then, since JAX keeps every function that it has compiled, and mapped
memory runs out; a process that dies takes one job along, and no other. Each computes on one thread: matrices are small,
and what several threads wait for one another doubles the cost."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def results(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, restart: int
) -> Iterator[tuple[Job, Result | None]]:
    """Each job with what `work` makes of it, as they are done; None where the process died. An exception of `work` is
    raised here. `restart`: the jobs after which a process is replaced."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the processes' own
    waiting: SimpleQueue[Job] = SimpleQueue()
    done: SimpleQueue[tuple[Job, Result | None, BaseException | None]] = SimpleQueue()
    for job in jobs:
        waiting.put(job)
    threads = [Thread(target=_serve, args=(work, waiting, done, restart), daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for _ in jobs:
        job, result, fault = done.get()
        if fault is not None:
            raise fault
        yield job, result


def _serve(
    work: Callable[[Job], Result],
    waiting: SimpleQueue[Job],
    done: SimpleQueue[tuple[Job, Result | None, BaseException | None]],
    restart: int,
) -> None:
    while not waiting.empty():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            for _ in range(restart):
                try:
                    job = waiting.get_nowait()
                except Empty:
                    return
                try:
                    done.put((job, pool.submit(work, job).result(), None))
                except BrokenProcessPool:
                    done.put((job, None, None))
                    break
                except BaseException as fault:
                    done.put((job, None, fault))

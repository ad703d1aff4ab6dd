"""Threads, or none while the interpreter ends: what is saved then, by `atexit`, has to be on the disk all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


def submitted(pool: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """What `work` gives, of a thread of the pool; done at once where no thread begins any more."""
    try:
        return pool.submit(work, *arguments)
    except RuntimeError:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*arguments))
        except Exception as error:
            done.set_exception(error)
        return done


def started(work: Callable[[], object]) -> threading.Thread | None:
    """A thread that does some work; None where none begins any more."""
    thread = threading.Thread(target=work, name="structkit.state", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread

"""Requests that do not depend on each other, under way at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from tokenboard_etl.errors import TokenboardError

AT_A_TIME = 4
"""Of one report. More would wait for a slot at the host while the time of their attempts runs."""

T = TypeVar("T")


async def side_by_side(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order, with at most AT_A_TIME under way at once.

    After an error no further one begins; those under way are finished, so that their answers are kept, and then the
    first error is raised.
    """
    slots, errors, waiting = asyncio.Semaphore(AT_A_TIME), list[TokenboardError](), list(work)
    results = dict[int, T]()

    async def in_a_slot(number: int, each: Coroutine[Any, Any, T]) -> None:
        async with slots:
            if not errors:
                try:
                    results[number] = await each
                except TokenboardError as error:
                    errors.append(error)

    try:
        async with asyncio.TaskGroup() as group:
            for number, each in enumerate(waiting):
                group.create_task(in_a_slot(number, each))
    finally:
        for each in waiting:
            each.close()  # those that never began
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(waiting))]

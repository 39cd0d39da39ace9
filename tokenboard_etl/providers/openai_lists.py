"""OpenAI's lists of objects: pages continue after the last id."""

from __future__ import annotations

from dataclasses import replace
from typing import Generic, TypeVar

from pydantic import Field

from tokenboard_etl.errors import PaginationStalled
from tokenboard_etl.providers.wire import Fetch, Request, Wire, read

MAX_PAGES = 10_000
"""More pages than any organization has projects: a walk this long goes in circles."""


LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z: a time after it is in another unit, or no time."""


class Identified(Wire):
    """An object of a list, by its id."""

    id: str = Field(min_length=1)


class Listed(Identified):
    """One with a name. `created_at` is in Unix seconds."""

    name: str | None = None
    created_at: int = Field(ge=0, le=LAST_SECOND)


Item = TypeVar("Item", bound=Identified)


class ListPage(Wire, Generic[Item]):
    data: list[Item]
    has_more: bool
    last_id: str | None = None


async def listed(fetch: Fetch, first: Request, model: type[ListPage[Item]]) -> list[Item]:
    """All objects of a list. `last_id` is set on the last page too, so it says nothing about the end."""
    request, seen, found = first, set[str](), list[Item]()
    for _ in range(MAX_PAGES):
        page = read(model, request, await fetch(request))
        found += page.data
        if not page.has_more or not page.data:
            return found
        after = page.last_id or page.data[-1].id
        if after in seen:
            raise PaginationStalled(request.provider, request.endpoint, f"the cursor {after!r} came twice")
        seen.add(after)
        request = replace(first, params=(*first.params, ("after", after)))
    raise PaginationStalled(first.provider, first.endpoint, f"no end after {MAX_PAGES} pages")

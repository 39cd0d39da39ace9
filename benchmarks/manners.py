"""How a slow provider behaves, and how it was treated: counted where the requests arrive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

RETRY_AFTER_S = 1


@dataclass
class Manners:
    """Every answer takes `page_s`, and of each `refuse_every` requests one is refused with 429 and Retry-After."""

    page_s: float = 0.0
    refuse_every: int = 0
    requests: int = 0
    refused: int = 0
    repeated_early: int = 0
    most_under_way: int = 0
    _under_way: int = 0
    _not_before: dict[object, float] = field(default_factory=dict)

    @asynccontextmanager
    async def turn(self, request: object) -> AsyncIterator[bool]:
        """One request from its head to the end of its answer; whether it is answered at all."""
        self.requests, self._under_way = self.requests + 1, self._under_way + 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        self.repeated_early += time.monotonic() < self._not_before.pop(request, 0)
        refused = self.refuse_every > 0 and self.requests % self.refuse_every == 0
        try:
            if self.page_s:
                await asyncio.sleep(self.page_s)
            if refused:
                self.refused += 1
                self._not_before[request] = time.monotonic() + RETRY_AFTER_S
            yield not refused
        finally:
            self._under_way -= 1

    def counted(self) -> dict[str, Any]:
        counts = ("requests", "refused", "repeated_early", "most_under_way")
        return {name: getattr(self, name) for name in counts}

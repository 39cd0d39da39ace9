"""Chance without a generator: every draw is a hash of its own name, so no result depends on query order."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar
from uuid import UUID

Item = TypeVar("Item")
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


def draw_bytes(*name: object) -> bytes:
    """64 well-mixed bytes, the same for the same name on every machine."""
    return blake2b("\x1f".join(map(str, name)).encode()).digest()


def draw(*name: object) -> int:
    """64 well-mixed bits as a non-negative integer."""
    return int.from_bytes(draw_bytes(*name)[:8], "big")


def between(low: int, high: int, *name: object) -> int:
    """An integer from `low` to `high`, both included."""
    return low + draw(*name) % (high - low + 1)


def pick(items: Sequence[Item], *name: object) -> Item:
    return items[draw(*name) % len(items)]


def code(length: int, *name: object) -> str:
    """Letters and digits as the providers use them in ids."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in draw_bytes(*name)[:length])


def hexadecimal(length: int, *name: object) -> str:
    return draw_bytes(*name).hex()[:length]


def uuid(*name: object) -> str:
    return str(UUID(bytes=draw_bytes(*name)[:16], version=4))

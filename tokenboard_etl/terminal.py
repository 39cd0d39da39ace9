"""What the commands write to."""

from __future__ import annotations

from rich.console import Console

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def plain(text: str | None) -> str:
    """Text from outside, without meaning to the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text or "").replace("[", r"\[")

"""How Babel writes numbers in a locale, found out once: asking for each number takes most of an invoice's time.

A layout is used only where it writes a set of probes exactly as Babel does; elsewhere Babel is asked each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

Written = Callable[[Decimal], str]
_NUMBER = re.compile(r"([^0-9]*)([0-9].*[0-9]|[0-9])([^0-9]*)", re.DOTALL)
_GROUPED = Decimal(12345678901234)


@dataclass(frozen=True)
class Layout:
    """What stands around a number's digits, by its sign, and between them; `sizes` of the last group and the others."""

    around: tuple[str, str]
    around_negative: tuple[str, str]
    group: str
    point: str
    sizes: tuple[int, int]

    def write(self, number: Decimal) -> str:
        """The number with the digits it has, neither more nor fewer."""
        whole, _, fraction = f"{number.copy_abs():f}".partition(".")
        before, after = self.around_negative if number.is_signed() else self.around
        return f"{before}{self._grouped(whole)}{self.point + fraction if fraction else ''}{after}"

    def _grouped(self, whole: str) -> str:
        last, others = self.sizes
        if last == others == 3:
            return f"{int(whole):,}".replace(",", self.group)
        head, tail = whole[:-last], whole[-last:]
        start = len(head) % others
        parts = [head[:start], *(head[place : place + others] for place in range(start, len(head), others)), tail]
        return self.group.join(part for part in parts if part)


def layout_of(babel: Written, digits: int) -> Layout | None:
    """The layout of what `babel` writes for numbers of so many decimals; None if it is not that simple."""
    smallest = Decimal(1).scaleb(-digits)
    positive, negative, large = (_NUMBER.fullmatch(babel(each)) for each in (smallest, -smallest, _GROUPED))
    if positive is None or negative is None or large is None:
        return None
    point = re.sub("[0-9]", "", positive[2])
    whole = large[2].partition(point)[0] if digits else large[2]
    groups = re.split("[^0-9]+", whole)
    separators = set(re.findall("[^0-9]+", whole))
    if len(groups) < 3 or len(separators) != 1:
        return None
    around, around_negative = (positive[1], positive[3]), (negative[1], negative[3])
    found = Layout(around, around_negative, separators.pop(), point, (len(groups[-1]), len(groups[-2])))
    return found if all(found.write(each) == babel(each) for each in _probes(digits)) else None


def _probes(digits: int) -> Iterator[Decimal]:
    for length in range(1, 21):
        number = Decimal("98765432198765432198"[:length]).scaleb(-digits)
        yield from (number, -number, Decimal(10 ** (length - 1) + 1).scaleb(-digits))

"""Made-up serials in the patterns that states print on their passenger plates.

In a pattern `A` stands for a letter, `9` for a digit, and everything else for
itself. I, O and Q are left out, as most states do, so that nothing on a plate
can be mistaken for 1 or 0 by a person. Every serial is drawn at random; none
is taken from a real vehicle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from alpr.plates import canonical

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
DIGITS = "0123456789"

PATTERNS: dict[str, tuple[str, ...]] = {
    "AZ": ("AAA9999", "A9A 9AA"),
    "CA": ("9AAA999",),
    "CO": ("AAA-A99", "999-AAA"),
    "CT": ("AA 99999", "999-AAA"),
    "FL": ("A99 9AA", "AAAA99"),
    "GA": ("AAA9999",),
    "IA": ("AAA 999", "999 AAA"),
    "IL": ("AA 99999", "A99 9999"),
    "IN": ("999AAA",),
    "LA": ("999 AAA", "AAA 999"),
    "MA": ("9AAA 99", "999 AA9"),
    "MD": ("9AA9999",),
    "ME": ("9999 AA",),
    "MI": ("AAA 9999",),
    "MN": ("AAA-999", "999-AAA"),
    "MO": ("AA9 A9A",),
    "NC": ("AAA-9999",),
    "NH": ("999 9999",),
    "NJ": ("A99-AAA", "AAA-99A"),
    "NM": ("AAA-999", "999-AAA"),
    "NV": ("999-A99", "999 AAA"),
    "NY": ("AAA-9999",),
    "OH": ("AAA 9999",),
    "OR": ("999 AAA",),
    "PA": ("AAA-9999",),
    "RI": ("999 999", "AA-999"),
    "SC": ("AAA 999",),
    "TN": ("A99-99A", "AAA 9999"),
    "TX": ("AAA-9999",),
    "UT": ("A99 9AA", "999 AAA"),
    "VA": ("AAA-9999",),
    "VT": ("AAA 999",),
    "WA": ("AAA9999",),
    "WI": ("AAA-9999", "999-AAA"),
}
"""Patterns by issuing state."""


class Serial(NamedTuple):
    """A serial as printed, and as the platform writes it."""

    printed: str
    plate: str


def make_serials(pattern: str, count: int, rng: np.random.Generator) -> list[str]:
    """`count` random serials in `pattern`, as printed, e.g. "AAA-9999" gives "KDT-4071"."""
    columns = [
        rng.choice(list(LETTERS), count)
        if place == "A"
        else rng.choice(list(DIGITS), count)
        if place == "9"
        else np.full(count, place)
        for place in pattern
    ]
    return ["".join(row) for row in np.column_stack(columns).tolist()]


def make_serial(pattern: str, rng: np.random.Generator) -> Serial:
    """One random serial in `pattern`."""
    (printed,) = make_serials(pattern, 1, rng)
    return Serial(printed, canonical(printed))

"""How the states number their plates: serial patterns, to tell how many plates fit none.

In a pattern `A` stands for a letter, `9` for a digit, `X` for either, and everything else for
itself; a plate is compared as the platform writes it (`alpr.plates.canonical`). The patterns
are those of passenger plates issued now or still on many cars, from the state authorities'
public descriptions. Personalised, historic, trailer and government plates follow others: a
single plate that fits none is no fault, but when a large share of one state's plates fits
none, then a reader, a camera or the state it tells is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

SERIALS: Final[Mapping[str, tuple[str, ...]]] = {
    "AK": ("AAA999",),
    "AL": ("9AXXXXX", "99AXXXX"),
    "AR": ("AAA99A", "999AAA"),
    "AZ": ("XXX9XX", "AAA9999"),
    "CA": ("9AAA999", "9A99999", "99999A9"),
    "CO": ("AAAA99", "AAA999", "999AAA"),
    "CT": ("AA99999", "999AAA"),
    "DC": ("AA9999",),
    "DE": ("999999", "99999", "9999", "999", "99", "9"),
    "FL": ("AAAA99", "A999AA", "9999AA", "999AAA", "AA99AA", "99AAAA"),
    "GA": ("AAA9999",),
    "HI": ("AAA999",),
    "IA": ("AAA999", "999AAA"),
    "ID": ("9AXXXXX", "9AXXXX", "A99999", "A999999"),
    "IL": ("AA99999", "A999999", "999999"),
    "IN": ("999AAA", "999AA", "999A"),
    "KS": ("9999AAA", "999AAA"),
    "KY": ("A9A999", "AAA999", "999AAA"),
    "LA": ("AAA999", "999AAA"),
    "MA": ("9AAA99", "999AA9", "99AA99", "9999AA", "999AAA", "999999"),
    "MD": ("9AA9999", "A999999"),
    "ME": ("9999AA", "999AAA", "9999A"),
    "MI": ("AAA9999", "AAA999", "9AAA99"),
    "MN": ("AAA999", "999AAA"),
    "MO": ("AA9A9A", "AA9AAA"),
    "MS": ("AAA9999", "AAA999"),
    "MT": ("999999A", "99999A", "99AAAA", "AAA999", "999AAA"),
    "NC": ("AAA9999",),
    "ND": ("AAA999", "999AAA"),
    "NE": ("AAA999", "9A9999", "9A999", "99A9999", "99A999", "99A99"),
    "NH": ("9999999", "999999", "99999"),
    "NJ": ("A99AAA", "AAA99A", "AA999A"),
    "NM": ("AAA999", "999AAA", "AAAA99"),
    "NV": ("999A99", "99A999", "999AAA", "AAA999"),
    "NY": ("AAA9999", "999AAA"),
    "OH": ("AAA9999", "AA99AA", "AAA999"),
    "OK": ("AAA999", "999AAA"),
    "OR": ("999AAA", "AAA999"),
    "PA": ("AAA9999",),
    "RI": ("999999", "99999", "AA999", "9AA999"),
    "SC": ("AAA999", "9999AA"),
    "SD": ("9A9999", "9AA999", "99A999", "99AA99", "99AAA9", "9AAA99"),
    "TN": ("A9999A", "AAA9999", "999AAA"),
    "TX": ("AAA9999", "AA9A999", "A99AAA", "AAA999"),
    "UT": ("A999AA", "999AAA", "9A9AA"),
    "VA": ("AAA9999",),
    "VT": ("AAA999",),
    "WA": ("AAA9999", "999AAA"),
    "WI": ("AAA9999", "999AAA"),
    "WV": ("9AA999", "9A9999", "AAA999"),
    "WY": ("9999", "99999", "999999", "9999A", "99999A", "999999A"),
}
"""Serial patterns by issuing state (postal code): the fifty states and the District of Columbia."""

_CLASSES: Final = {"A": "[A-Z]", "9": "[0-9]", "X": "[A-Z0-9]"}


@cache
def serial_pattern(state: str) -> str | None:
    """A regular expression for a state's serials, whole plate; None if none are known here.

    Without look-around, so that column engines (RE2) take it as Python does.
    """
    serials = SERIALS.get(state)
    if serials is None:
        return None
    forms = ("".join(_CLASSES.get(sign, re.escape(sign)) for sign in each) for each in serials)
    return f"^(?:{'|'.join(forms)})$"


def fits(plate: str, state: str) -> bool | None:
    """Whether a canonical plate is a serial of the state; None if its serials are not known."""
    pattern = serial_pattern(state)
    return None if pattern is None else re.fullmatch(pattern, plate) is not None

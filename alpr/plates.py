"""Plate text: one canonical form, one key for look-alikes. Pure functions, no I/O."""

from __future__ import annotations

import re

PLATE_PATTERN = r"^[A-Z0-9]{1,12}(?!\n)$"
"""What a canonical plate looks like: 1 to 12 upper-case ASCII letters and digits.

`(?!\\n)`: in Python, `$` alone would also match before a line feed at the end.
"""

STATE_PATTERN = r"^[A-Z]{2,3}(?!\n)$"
"""Issuing state or province: two letters (three where a foreign country is meant)."""

_CANONICAL = re.compile(PLATE_PATTERN)
_DROP = re.compile(r"[^A-Za-z0-9]+")
_LOOKALIKE = str.maketrans("OI", "01")


def canonical(text: str) -> str:
    """Upper case without anything but ASCII letters and digits; "" if nothing is left.

    The raw text is kept beside it in every read: this drops spaces, hyphens,
    dots and emblems, and never replaces one character by another.
    """
    # Dropped before they could change: "ß" in upper case is "SS".
    return _DROP.sub("", text).upper()


def is_canonical(text: str) -> bool:
    """Whether `text` is a plate as `canonical` would leave it, of legal length."""
    return _CANONICAL.fullmatch(text) is not None


def match_key(plate: str) -> str:
    """The canonical plate with O written 0 and I written 1.

    NCIC writes the letter O as zero, and readers confuse both pairs, so both
    sides of a match are compared by this key; whether the plates were equal
    to the letter is said in the hit.
    """
    return plate.translate(_LOOKALIKE)

"""Serial numbers as they are issued: random texts in the formats of states and countries."""

from __future__ import annotations

import numpy as np

# L is a letter, D a digit: formats on passenger cars, most common first.
STATE_FORMATS: dict[str, tuple[str, ...]] = {
    "AK": ("LLLDDD",),
    "AL": ("DLDDDDL", "DDLDDDD", "DLDDDDD", "DDDDLLD"),
    "AR": ("DDDLLL", "LLLDDL"),
    "AZ": ("LLLDDDD", "DDDLLL", "LLLDDD"),
    "CA": ("DLLLDDD", "DLDDDDD", "LLLDDD"),
    "CO": ("DDDLLL", "LLLDDD", "LLLDDDD"),
    "CT": ("DDDLLL", "LLDDDDD", "DLLLLD"),
    "DC": ("LLDDDD",),
    "DE": ("DDDDDD", "DDDDD"),
    "FL": ("LDDDLL", "LDDLLL", "DDDLLL", "LLLLDD", "LLLDDL"),
    "GA": ("LLLDDDD", "DDDDLLL", "LLLDDD"),
    "HI": ("LLLDDD",),
    "IA": ("DDDLLL", "LLLDDD"),
    "ID": ("DLDDDDD", "DLLDDDD", "LDDDDDD", "DLDDDDL"),
    "IL": ("LDDDDDD", "DDDDDDD", "LLDDDDD", "DDDLDDD"),
    "IN": ("DDDLLL", "DDDL", "DDDLL"),
    "KS": ("DDDLLL", "LLLDDD"),
    "KY": ("DDDLLL",),
    "LA": ("LLLDDD", "DDDLLL"),
    "MA": ("DDDLLL", "DDDDLL", "DLLLDD", "DLLDDD", "DDDLLD"),
    "MD": ("LLLDDD", "DLLDDDD", "DDDLDDL", "DLLLDD"),
    "ME": ("DDDDLL", "DDDLLL"),
    "MI": ("LLLDDDD", "DLLLDD", "LLLDDD", "LLLLDD"),
    "MN": ("DDDLLL", "LLLDDD"),
    "MO": ("LLDLDL", "DDDLLL", "LLDLDL"),
    "MS": ("LLLDDD", "LLLDDDD"),
    "MT": ("DDDDDDL", "DDDDDL", "LLLDDD"),
    "NC": ("LLLDDDD",),
    "ND": ("LLLDDD", "DDDLLL"),
    "NE": ("LLLDDD", "DLDDDD", "DDLDDD"),
    "NH": ("DDDDDDD", "DDDDDD"),
    "NJ": ("LLLDDL", "LDDLLL", "LLLDDDD", "LLLDDL"),
    "NM": ("DDDLLL", "LLLDDD"),
    "NV": ("DDDLLL", "DDLDDD"),
    "NY": ("LLLDDDD",),
    "OH": ("LLLDDDD", "LLDDLL", "LLLDDD"),
    "OK": ("DDDLLL", "LLLDDD"),
    "OR": ("DDDLLL", "LLLDDD"),
    "PA": ("LLLDDDD",),
    "RI": ("DDDDDD", "LLDDD"),
    "SC": ("DDDLLL", "LLLDDD", "LLLLDD"),
    "SD": ("DDLLDD", "DDLDDD", "DLDDDD"),
    "TN": ("DDDLLL", "LDDDDL", "LLLDDD"),
    "TX": ("LLLDDDD", "LLLDDD", "LLDLDDD", "DDDLLL", "LDDLLL"),
    "UT": ("DDDLLL", "LDDDLL", "LDDDLL"),
    "VA": ("LLLDDDD", "DDDDLL", "LLLDDD"),
    "VT": ("LLLDDD",),
    "WA": ("DDDLLL", "LLLDDDD"),
    "WI": ("DDDLLL", "LLLDDDD", "LLLDDD"),
    "WV": ("DLLDDD", "DLDDDD", "DDLDDD"),
    "WY": ("DDDDDD", "DDDDDL", "DDDDD"),
}
_EU_FORMATS = (
    "LLDDDLL",
    "LLDDDDD",
    "DLDDDDD",
    "LLDDDD",
    "LDDDLL",
    "LLDDLLL",
    "LLLLDDD",
    "LLDDDDLL",
)
_BR_FORMATS = ("LLLDDDD",)
_US_FORMATS = tuple(f for formats in STATE_FORMATS.values() for f in formats)

_LETTERS = "ABCDEFGHIJKLMNPQRSTUVWXYZ"  # US labels write every O as 0
_LETTERS_WITH_O = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_COMMON = "ABCDEFGHJKLMNPRSTUVWXYZ"
_DIGITS = "0123456789"
# Characters that were confused most, drawn more often than chance would.
_HARD_LETTERS = "WMNHKXDQBGCSZVYUIJ"
_HARD_DIGITS = "08615729"


def shape(text: str) -> str:
    """The format of a text: D for each digit, L for each letter."""
    return "".join("D" if c.isdigit() else "L" for c in text)


def us_serial(rng: np.random.Generator, state: str | None, seen: tuple[str, ...]) -> str:
    """A US text; `seen` are texts whose formats may be taken over. O is never drawn, 0 is."""
    chance = rng.random()
    if seen and chance < 0.3:
        form = shape(seen[rng.integers(len(seen))])
    elif state is not None and chance < 0.78:
        form = _pick(rng, STATE_FORMATS[state])
    elif chance < 0.93:
        form = _pick(rng, _US_FORMATS)
    elif chance < 0.97:
        form = "".join(rng.choice(["L", "D"], rng.integers(3, 9)))
    else:
        form = "L" * int(rng.integers(3, 8))
    return _fill(rng, form, _COMMON if rng.random() < 0.6 else _LETTERS)


def eu_serial(rng: np.random.Generator) -> str:
    """A text in a European format."""
    return _fill(rng, _pick(rng, _EU_FORMATS), _LETTERS_WITH_O)


def br_serial(rng: np.random.Generator) -> str:
    """A text in the Brazilian format before Mercosur."""
    return _fill(rng, _pick(rng, _BR_FORMATS), _LETTERS_WITH_O)


def _fill(rng: np.random.Generator, form: str, letters: str) -> str:
    hard = rng.random() < 0.35
    text = []
    for kind in form:
        pool = letters if kind == "L" else _DIGITS
        if hard and rng.random() < 0.5:
            pool = _HARD_LETTERS if kind == "L" else _HARD_DIGITS
        text.append(pool[rng.integers(len(pool))])
    return "".join(text)


def _pick(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[rng.integers(len(items))]

"""Texts that a reader may have mixed up: for searching, never for deciding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

from alpr.errors import BadInput
from alpr.plates import canonical, is_canonical

GROUPS: Final = ("0ODQ", "1IL", "8B", "5S", "2Z", "6G")
"""Characters taken for one another; those of domain lists and complaints about misread plates."""

MOST_VARIANTS: Final = 5_000
LEAST_KNOWN: Final = 3

_ALIKE: Final = {letter: group for group in GROUPS for letter in group}
_PATTERN: Final = re.compile(r"^[A-Z0-9?*]{1,24}$")


def variants(plate: str) -> list[str]:
    """Every text that looks like a canonical plate, itself first.

    Raises BadInput (`too-many-lookalikes`) above MOST_VARIANTS.
    """
    choices = [(letter, *_ALIKE.get(letter, "").replace(letter, "")) for letter in plate]
    if prod(map(len, choices)) > MOST_VARIANTS:
        raise BadInput(
            "too-many-lookalikes",
            f"at most {MOST_VARIANTS} texts may look like the plate: search with a wildcard (?)",
        )
    return ["".join(letters) for letters in product(*choices)]


def is_pattern(text: str) -> bool:
    """Whether a text holds a wildcard."""
    return "?" in text or "*" in text


@dataclass(frozen=True)
class Pattern:
    """A plate with wildcards: `prefix` is what is known before the first of them.

    `suffix`: all that is known, where the only wildcard is one `*` in front; else None.
    """

    regex: str
    prefix: str
    suffix: str | None


def pattern(text: str) -> Pattern:
    """A text in which `?` is one character and `*` any number of them.

    Raises BadInput (`bad-pattern`) for other signs, or for fewer than LEAST_KNOWN characters
    that are known: nearly every plate would be found.
    """
    plain = re.sub(r"[^A-Za-z0-9?*]+", "", text).upper()
    known = len(plain) - plain.count("?") - plain.count("*")
    if not _PATTERN.match(plain) or known < LEAST_KNOWN:
        raise BadInput(
            "bad-pattern",
            f"a plate with at least {LEAST_KNOWN} known characters was required, and ? or * for "
            f"the others; {known} are known",
        )
    regex = "^" + plain.replace("?", "[A-Z0-9]").replace("*", "[A-Z0-9]*") + "$"
    only_suffix = plain.startswith("*") and known == len(plain) - 1
    return Pattern(regex, re.split(r"[?*]", plain)[0], plain[1:] if only_suffix else None)


def exact(text: str) -> str:
    """The canonical form of a whole plate. Raises BadInput (`bad-plate`) if it is none."""
    plate = canonical(text)
    if not is_canonical(plate):
        raise BadInput("bad-plate", "a plate of 1 to 12 letters and digits was required")
    return plate

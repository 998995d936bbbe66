"""Voting over several readings of one plate: characters by position, weighted. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Consensus:
    """The voted text; `share` (0 to 1) is the share of the votes its weakest character has."""

    text: str
    share: float


def distance(a: str, b: str) -> int:
    """Levenshtein distance: insertions, deletions and replacements that turn `a` into `b`."""
    if a == b:
        return 0
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def consensus(votes: Mapping[str, float]) -> Consensus:
    """Vote character by character over texts with their weights (0 or more).

    Every text is aligned with the heaviest one; at each of its positions the
    heaviest character (or gap) wins, and between positions an insertion that
    most of the weight asks for. The result may be a text nobody read whole.
    """
    weighty = {text: weight for text, weight in votes.items() if text and weight > 0}
    if not weighty:
        return Consensus("", 0.0)
    # Ties go to the text first in the alphabet, so that order never decides.
    anchor = min(weighty, key=lambda text: (-weighty[text], text))
    places: list[dict[str, float]] = [{} for _ in range(2 * len(anchor) + 1)]
    for text, weight in weighty.items():
        for place, piece in enumerate(_aligned(anchor, text)):
            places[place][piece] = places[place].get(piece, 0.0) + weight
    total = sum(weighty.values())
    pieces, shares = [], []
    for place, heard in enumerate(places):
        favourite = anchor[place // 2] if place % 2 else ""
        piece = min(heard, key=lambda p: (-heard[p], p != favourite, p))
        pieces.append(piece)
        shares.append(heard[piece] / total)
    return Consensus("".join(pieces), min(1.0, *shares))


def _aligned(anchor: str, text: str) -> list[str]:
    """`text` cut into 2 * len(anchor) + 1 pieces.

    Odd pieces stand for the anchor's characters ("" where missing), even ones
    for what is inserted before, between and after them.
    """
    if len(anchor) == len(text) and distance(anchor, text) == sum(
        a != b for a, b in zip(anchor, text, strict=True)
    ):
        pieces = [""] * (2 * len(anchor) + 1)
        pieces[1::2] = text
        return pieces
    rows = [list(range(len(text) + 1))]
    for i, left in enumerate(anchor, 1):
        above, row = rows[-1], [i]
        for j, right in enumerate(text, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (left != right)))
        rows.append(row)
    pieces = [""] * (2 * len(anchor) + 1)
    i, j = len(anchor), len(text)
    while i or j:
        here = rows[i][j]
        if i and j and here == rows[i - 1][j - 1] + (anchor[i - 1] != text[j - 1]):
            i, j = i - 1, j - 1
            pieces[2 * i + 1] = text[j]
        elif i and here == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
            pieces[2 * i] = text[j] + pieces[2 * i]
    return pieces

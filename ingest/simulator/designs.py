"""What the plates of many states look like: colours, words and simple shapes of our own drawing.

They are imitations in the manner of each state's plates, drawn from rectangles,
curves and letters, with no artwork copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Art = Literal["none", "hills", "peak", "waves", "sun", "tree", "skyline", "fade"]
Emblem = Literal["none", "dot", "diamond", "star", "disc", "dash"]

STATE_NAMES: dict[str, str] = {
    "AZ": "Arizona", "CA": "California", "CO": "Colorado", "CT": "Connecticut", "FL": "Florida",
    "GA": "Georgia", "IA": "Iowa", "IL": "Illinois", "IN": "Indiana", "LA": "Louisiana",
    "MA": "Massachusetts", "MD": "Maryland", "ME": "Maine", "MI": "Michigan", "MN": "Minnesota",
    "MO": "Missouri", "NC": "North Carolina", "NH": "New Hampshire", "NJ": "New Jersey",
    "NM": "New Mexico", "NV": "Nevada", "NY": "New York", "OH": "Ohio", "OR": "Oregon",
    "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "TN": "Tennessee",
    "TX": "Texas", "UT": "Utah", "VA": "Virginia", "VT": "Vermont", "WA": "Washington",
    "WI": "Wisconsin",
}  # fmt: skip

REAR_ONLY = frozenset({"AZ", "FL", "GA", "IN", "LA", "MI", "NC", "NM", "OH", "PA", "SC", "TN"})
"""States of this table that issue no front plate to passenger cars."""


@dataclass(frozen=True)
class Design:
    """One look of one state's plate; colours are 0xRRGGBB."""

    state: str
    slogan: str
    ground: int
    """Colour of the sheet, at the bottom where `fade` or `art` change the top."""
    ink: int
    name_ink: int
    top: int | None = None
    """Colour of the band behind the state's name, or of the upper end of a fade."""
    bottom: int | None = None
    """Colour of the band behind the slogan."""
    slogan_ink: int | None = None
    art: Art = "none"
    art_colour: int = 0xC8D4E0
    emblem: Emblem = "none"
    emblem_colour: int = 0x404040
    slanted: bool = False
    """Whether the state's name is in slanted letters."""
    capitals: bool = True
    letter_width: float = 1.0
    """Width of the serial's letters, 1 being the die's own."""


DESIGNS: tuple[Design, ...] = (
    Design("AZ", "GRAND CANYON STATE", 0xF2D9A8, 0x1E4D45, 0x2B3F7C, top=0x9CC9D8, art="hills",
           art_colour=0x8A5C8C),
    Design("CA", "", 0xF4F4F0, 0x1C2F6B, 0xC0203C, slanted=True, capitals=False),
    Design("CA", "1963", 0x15171A, 0xF2C230, 0xF2C230, letter_width=0.95),
    Design("CO", "", 0xF4F6F3, 0x14462F, 0xFFFFFF, top=0x1B5A3E, art="peak", art_colour=0xCBDDD2),
    Design("CT", "Constitution State", 0xF2F5FA, 0x16305F, 0x16305F, top=0x8DB1DC, art="fade"),
    Design("FL", "SUNSHINE STATE", 0xF6F5EE, 0x175236, 0x175236, art="sun", art_colour=0xF5C98C),
    Design("GA", "", 0xF5F3EC, 0x23262B, 0x23262B, art="hills", art_colour=0xE9CDAE),
    Design("IA", "", 0xEEF3F8, 0x14213D, 0x14213D, top=0x88AEDA, art="fade"),
    Design("IL", "LAND OF LINCOLN", 0xF1F4F8, 0xA3182B, 0x1B3B78, art="skyline",
           art_colour=0xCFDBE9),
    Design("IL", "Land of Lincoln", 0xF6F6F4, 0xA3182B, 0x24407F, slanted=True, capitals=False),
    Design("IN", "", 0xF3F5F8, 0x18233F, 0xFFFFFF, top=0x22427E, bottom=0x22427E),
    Design("LA", "SPORTSMAN'S PARADISE", 0xF6F5F2, 0x1F3564, 0xB2233A, slanted=True,
           capitals=False, art="waves", art_colour=0xDDE7EA),
    Design("MA", "The Spirit of America", 0xF6F6F4, 0xB5182E, 0x20539A, capitals=False),
    Design("MD", "MARYLAND.GOV", 0xF7F7F4, 0x17181A, 0x17181A, emblem="none", art="waves",
           art_colour=0xE8D9A0),
    Design("ME", "Vacationland", 0xF5F4EA, 0x1E3A2C, 0x1E3A2C, art="tree", art_colour=0xC8D8C4),
    Design("MI", "PURE MICHIGAN", 0xF5F6F8, 0x17315F, 0xFFFFFF, top=0x2A65A8,
           slogan_ink=0x2A65A8),
    Design("MN", "10,000 lakes", 0xEFF5F9, 0x14283F, 0x1F4F8E, capitals=False, top=0x9DC6E3,
           art="waves", art_colour=0xA9CDE6),
    Design("MO", "SHOW-ME STATE", 0xF4F5F5, 0x1B2C55, 0x1B2C55, top=0xBFD1E6, art="fade",
           emblem="diamond", emblem_colour=0x7F93B4),
    Design("NC", "FIRST IN FLIGHT", 0xF3F6FA, 0x1D3E86, 0xB2233A, art="waves",
           art_colour=0xD9E4F0),
    Design("NH", "LIVE FREE OR DIE", 0xF0F4EC, 0x1C4A36, 0x1C4A36, top=0xBCD6C0, art="peak",
           art_colour=0xCFE0CE),
    Design("NJ", "Garden State", 0xF8F3C8, 0x1D1E1C, 0x1D1E1C, top=0xEEDB55, art="fade",
           capitals=False, emblem="dash"),
    Design("NM", "LAND OF ENCHANTMENT", 0x3FA6B4, 0xF4D236, 0xF4D236, slogan_ink=0xF4D236),
    Design("NM", "LAND OF ENCHANTMENT", 0xF2C531, 0xA82A26, 0xA82A26),
    Design("NV", "HOME MEANS NEVADA", 0xF1F2F4, 0x23345F, 0x23345F, top=0xA9C3DF, art="hills",
           art_colour=0xC9B7A4),
    Design("NY", "EXCELSIOR", 0xF6F6F2, 0x1A2C56, 0x1A2C56, art="skyline", art_colour=0xD5D9DF),
    Design("NY", "EMPIRE STATE", 0xE7A329, 0x1B2A52, 0x1B2A52),
    Design("OH", "BIRTHPLACE OF AVIATION", 0xF4F6F8, 0x1B2B59, 0xA82336, art="sun",
           art_colour=0xDFE6EE),
    Design("OR", "", 0xF0F3F2, 0x24304F, 0x2D4468, top=0xC6D9E6, art="tree",
           art_colour=0xA9C5AE),
    Design("PA", "VISITPA.COM", 0xF5F6F6, 0x1B3263, 0xFFFFFF, top=0x1D3F7B, bottom=0xF0C63A,
           slogan_ink=0x1D3F7B, emblem="diamond", emblem_colour=0x1D3F7B),
    Design("RI", "Ocean State", 0xF4F6F7, 0x1C3260, 0x1C3260, capitals=False, art="waves",
           art_colour=0xBFD3DE),
    Design("SC", "SMILING FACES", 0xF1F3F7, 0x1F2F58, 0x1F2F58, top=0xBCCBE2, art="fade",
           emblem="dot", emblem_colour=0x6F86B4),
    Design("TN", "TNVACATION.COM", 0x1B3A6B, 0xF4F4F2, 0xF4F4F2, slogan_ink=0xF4F4F2),
    Design("TN", "THE VOLUNTEER STATE", 0xF1F5EE, 0x1E2B22, 0x1E2B22, art="hills",
           art_colour=0xBFD5B4),
    Design("TX", "THE LONE STAR STATE", 0xF7F7F5, 0x16181B, 0x16181B, emblem="star",
           emblem_colour=0x16181B),
    Design("UT", "LIFE ELEVATED", 0xF4F2EE, 0x23304F, 0x2B4F8A, art="peak",
           art_colour=0xD7DDE6, emblem="dot", emblem_colour=0x9A6A4A),
    Design("VA", "", 0xF6F7F8, 0x1B2D5E, 0x1B2D5E),
    Design("VA", "VIRGINIA IS FOR LOVERS", 0xF6F7F8, 0x1B2D5E, 0x1B2D5E, slogan_ink=0xB2233A),
    Design("VT", "GREEN MOUNTAIN STATE", 0x1D6B47, 0xF4F5F2, 0xF4F5F2, slogan_ink=0xF4F5F2),
    Design("WA", "EVERGREEN STATE", 0xF2F5F8, 0x1C2C55, 0xB2304A, slogan_ink=0xB2304A, art="peak",
           art_colour=0xC7DAEA),
    Design("WI", "America's Dairyland", 0xF5F6F4, 0x1A1C20, 0xB2233A, slogan_ink=0xB2233A,
           capitals=False),
)  # fmt: skip
"""Every design; a state may have several."""

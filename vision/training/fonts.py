"""Letters from free fonts, as masks: serials on drawn plates, names, slogans."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr.errors import ConfigurationError
from vision.ctc import ALPHABET

Mask: TypeAlias = NDArray[np.uint8]
"""Ink, height x width, 0 to 255."""

GLYPH_HEIGHT = 72
"""Height of a serial's character in pixels."""

# Packages of the extra `training`, each a folder `files` of TTF under a free licence.
_PACKAGES = {
    "font_roboto": ("Medium", "Bold", "Black"),
    "font_source_sans_pro": ("Semibold", "Bold", "Black"),
    "font_hanken_grotesk": ("Bold", "SemiBold"),
    "font_manrope": ("Bold", "ExtraBold", "SemiBold"),
}
_NAME_PACKAGES = {
    "font_source_serif_pro": ("Regular", "Bold"),
    "font_caladea": ("Regular", "Bold", "Italic", "BoldItalic"),
    "font_roboto": ("Regular", "Bold", "BoldItalic"),
    "font_source_sans_pro": ("Regular", "Bold", "It"),
}


@dataclass(frozen=True, slots=True)
class Fonts:
    """`serial`: per font a mask of each character of the alphabet; `names`: font files."""

    serial: tuple[dict[str, Mask], ...]
    names: tuple[Path, ...]

    @classmethod
    def load(cls) -> Fonts:
        """Find the fonts of the extra `training`.

        Raises:
            ConfigurationError: a font package is not installed.
        """
        serial = tuple(_characters(file) for file in _files(_PACKAGES))
        return cls(serial, tuple(_files(_NAME_PACKAGES)))


def line(text: str, font: Path, size: int) -> Mask:
    """One line of text, cut to its ink. `text` must have ink in this font."""
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(str(font), size)
    box = face.getbbox(text)
    sheet = Image.new("L", (int(box[2]) + 8, int(box[3]) + 8), 0)
    ImageDraw.Draw(sheet).text((3, 3), text, fill=255, font=face)
    ink = np.asarray(sheet, dtype=np.uint8)
    rows, columns = np.nonzero(ink > 40)
    return np.ascontiguousarray(ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])


def _characters(font: Path) -> dict[str, Mask]:
    masks = {}
    for character in ALPHABET:
        ink = line(character, font, 96)
        width = max(6, round(ink.shape[1] * GLYPH_HEIGHT / ink.shape[0]))
        masks[character] = np.asarray(
            cv2.resize(ink, (width, GLYPH_HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
    return masks


def _files(packages: dict[str, tuple[str, ...]]) -> list[Path]:
    found = []
    for package, weights in packages.items():
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ConfigurationError(
                f"training draws text with the package {package.replace('_', '-')}; it is not "
                "installed: pip install 'platelake[training]'"
            )
        folder = Path(next(iter(spec.submodule_search_locations))) / "files"
        for weight in weights:
            found.extend(sorted(folder.glob(f"*-{weight}.ttf")))
    return found

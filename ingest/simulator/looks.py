"""How light changes a picture: day, overcast, dusk, night in colour, infrared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from ingest.simulator.plates import Picture

Light = Literal["day", "overcast", "dusk", "night", "infrared"]


@dataclass(frozen=True)
class Look:
    """One kind of light, as gains on colours drawn for even daylight."""

    scene: tuple[float, float, float]
    """Gain of blue, green, red for the surroundings and vehicles."""
    plate: float
    """Gain for plates: their sheets throw light back to where it came from."""
    noise: float
    """Standard deviation of the sensor's noise in grey levels."""
    grey: bool = False
    dark: bool = False
    """Whether the sky gives no light."""
    lamps: bool = False
    """Whether vehicles have their lights on."""
    blur: float = 0.0
    """Longest motion blur in metres of travel along the road for one exposure."""

    def lit(self, picture: Picture) -> Picture:
        """The surroundings, in this light."""
        return self._apply(picture, self.scene)

    def lit_plate(self, picture: Picture) -> Picture:
        """A plate, in this light."""
        if self.grey:
            # Infrared: coloured inks are paler than they look, red and orange most of all.
            mixed = picture @ np.array((0.12, 0.28, 0.60), np.float32)
            seen = np.clip(mixed * self.plate + 6, 0, 255).astype(np.uint8)
            return np.repeat(seen[..., None], 3, axis=2)
        blue, green, red = self.scene
        mean = (blue + green + red) / 3
        tint = tuple(self.plate * (0.75 + 0.25 * gain / mean) for gain in self.scene)
        return self._apply(picture, (tint[0], tint[1], tint[2]))

    def colour(self, paint: tuple[float, float, float]) -> tuple[float, float, float]:
        """One colour of the surroundings (BGR), in this light."""
        if self.grey:
            value = (0.12 * paint[0] + 0.4 * paint[1] + 0.48 * paint[2]) * self.scene[1]
            return (value, value, value)
        return (paint[0] * self.scene[0], paint[1] * self.scene[1], paint[2] * self.scene[2])

    def _apply(self, picture: Picture, gains: tuple[float, float, float]) -> Picture:
        if self.grey:
            seen = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) * gains[1]
            grey = np.clip(seen, 0, 255).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        scaled = picture * np.array(gains, np.float32)
        return np.clip(scaled, 0, 255).astype(np.uint8)


LOOKS: dict[Light, Look] = {
    "day": Look((1.0, 1.0, 1.0), 1.0, noise=1.6, blur=0.01),
    "overcast": Look((0.80, 0.78, 0.76), 0.84, noise=2.5, blur=0.02),
    "dusk": Look((0.52, 0.42, 0.38), 0.62, noise=4.0, lamps=True, blur=0.05),
    "night": Look((0.30, 0.27, 0.26), 0.68, noise=6.0, dark=True, lamps=True, blur=0.06),
    "infrared": Look(
        (0.42, 0.42, 0.42), 0.96, noise=4.5, grey=True, dark=True, lamps=True, blur=0.02
    ),
}

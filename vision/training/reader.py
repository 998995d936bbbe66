"""The reader network: characters by CTC, issuing state; and what it learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vision.ctc import ALPHABET
from vision.training.blocks import Residual, convolution
from vision.training.data import UNKNOWN_STATE
from vision.training.geometry import Floats
from vision.training.light import put

CLASSES = len(ALPHABET) + 1
"""Blank, then the alphabet."""

STEPS = 32
"""Columns of the text output."""

STATE_CLASSES = UNKNOWN_STATE + 1
"""States, DC, and "not told"."""


class _Mixer(nn.Module):
    """Transformer layer over the columns, normalised first."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self._heads = heads
        self._before, self._between = nn.LayerNorm(width), nn.LayerNorm(width)
        self._qkv, self._out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self._wide = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self._drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """N x columns x width, mixed along the columns."""
        count, steps, width = x.shape
        shape = (count, steps, 3, self._heads, width // self._heads)
        q, k, v = self._qkv(self._before(x)).reshape(shape).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-1, -2) * (width // self._heads) ** -0.5, -1)
        mixed = (weights @ v).transpose(1, 2).reshape(count, steps, width)
        x = x + self._drop(self._out(mixed))
        return x + self._drop(self._wide(self._between(x)))


class ReaderNet(nn.Module):
    """N x 3 x 64 x 128 BGR, 0 to 255 → text logits N x 32 x 37, state logits N x 52.

    In training mode a third output holds text logits before the transformer.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (24, 48, 80, 128), d: int = 160) -> None:
        super().__init__()
        a, b, c, e = widths
        self._features = nn.Sequential(
            convolution(3, a, 2, 5),
            convolution(a, b, 2),
            Residual(b),
            convolution(b, c, (2, 1)),
            Residual(c),
            convolution(c, e, (2, 1)),
            Residual(e),
        )
        self._column = nn.Conv2d(e, d, (4, 1))
        self._place = nn.Parameter(torch.randn(1, STEPS, d) * 0.02)
        self._early = nn.Linear(d, CLASSES)
        self._mix = nn.Sequential(_Mixer(d), _Mixer(d), nn.LayerNorm(d))
        self._text = nn.Linear(d, CLASSES)
        self._state = nn.Sequential(
            convolution(e, 128, 2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(128 * 32, STATE_CLASSES),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits, see the class."""
        y = self._features((x - 127.5) / 64)
        columns = self._column(y).squeeze(2).transpose(1, 2) + self._place
        text, state = self._text(self._mix(columns)), self._state(y)
        if self.training:
            return text, state, self._early(columns)
        return text, state


@dataclass(frozen=True)
class ReaderTruth:
    """texts: all targets one after another (classes); lengths: N. columns, weights: N x STEPS,
    class wanted at a column and how much. states: N, -1 where not labelled."""

    texts: Tensor
    lengths: Tensor
    columns: Tensor
    weights: Tensor
    states: Tensor


def truth(
    texts: list[str], centres: Floats, states: NDArray[np.int64], device: torch.device
) -> ReaderTruth:
    """Targets of a batch; `centres` are N x M shares of the crop's width, -1 unknown.

    Between known characters the blank is wanted a little; beside them nothing is.
    """
    classes = [[ALPHABET.index(c) + 1 for c in text] for text in texts]
    columns = np.zeros((len(texts), STEPS), np.int64)
    weights = np.zeros((len(texts), STEPS))
    for row, (wanted, middles) in enumerate(zip(classes, centres.tolist(), strict=True)):
        known = [m for m in middles if m >= 0]
        if not wanted or len(known) != len(wanted):
            continue
        at = [min(STEPS - 1, max(0, int(m * STEPS))) for m in known]
        weights[row] = 0.3
        for column in at:
            weights[row, max(0, column - 1) : column + 2] = 0
        for column, wanted_class in zip(at, wanted, strict=True):
            columns[row, column], weights[row, column] = wanted_class, 1.0
    return ReaderTruth(
        put(np.array([k for one in classes for k in one], np.int64), device),
        put(np.array([len(one) for one in classes], np.int64), device),
        put(columns, device),
        put(weights, device),
        put(states, device),
    )


def reader_loss(outputs: tuple[Tensor, ...], wanted: ReaderTruth, progress: float) -> Tensor:
    """CTC before and after the transformer, characters by column (fading), state."""
    text, state, early = (o.float() for o in outputs)
    loss = _ctc(text, wanted) + 0.3 * _ctc(early, wanted)
    by_column = _columns(text, wanted) + _columns(early, wanted)
    loss = loss + (1.0 if progress < 0.25 else 0.5 * (1 - progress)) * by_column
    labelled = wanted.states >= 0
    each = functional.cross_entropy(
        state, wanted.states.clamp(min=0), reduction="none", label_smoothing=0.05
    )
    return loss + 0.3 * (each * labelled).sum() / labelled.sum().clamp(min=1)


def _ctc(logits: Tensor, wanted: ReaderTruth) -> Tensor:
    steps = torch.full((len(logits),), STEPS, device=logits.device)
    log_probs = functional.log_softmax(logits, 2).transpose(0, 1)
    each = functional.ctc_loss(
        log_probs, wanted.texts, steps, wanted.lengths, reduction="none", zero_infinity=True
    )
    return (each / wanted.lengths.clamp(min=1)).mean()


def _columns(logits: Tensor, wanted: ReaderTruth) -> Tensor:
    each = functional.cross_entropy(
        logits.flatten(0, 1), wanted.columns.flatten(), reduction="none"
    )
    weights = wanted.weights.flatten()
    return (each * weights).sum() / (weights.sum() + 1e-6)

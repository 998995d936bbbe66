"""The detector network: plate centres on a map, size and four corners; and what it learns from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vision.training.blocks import Residual, convolution
from vision.training.geometry import UNIT
from vision.training.light import put
from vision.training.scenes import PATCH, PatchBatch

STRIDE = 8
"""Pixels a cell of the map."""

CHANNELS = 13
"""Centre logit; centre x, y; log width, height; x, y of four corners."""

_UNIT_SIZE = (32.0, 16.0)
_CORE = 0.35  # cells with at least this much heat learn size and corners


class DetectorNet(nn.Module):
    """N x 3 x H x W BGR, 0 to 255, sides divisible by 32 → N x CHANNELS x H/8 x W/8.

    Offsets are in cells from the middle of the cell, logs are of size over 32 x 16 pixels,
    corners are differences from an upright box's corners as shares of its size.
    """

    def __init__(self, widths: tuple[int, int, int, int, int] = (12, 24, 48, 80, 112)) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self._fine = nn.Sequential(
            convolution(3, a, 2), convolution(a, b, 2), convolution(b, c, 2), Residual(c)
        )
        self._middle = nn.Sequential(convolution(c, d, 2), Residual(d), Residual(d))
        self._coarse = nn.Sequential(convolution(d, e, 2), Residual(e))
        self._up_middle, self._up_fine = nn.Conv2d(e, d, 1), nn.Conv2d(d, c, 1)
        self._mix_middle, self._mix_fine = convolution(d, d), convolution(c, c)
        self._out = nn.Conv2d(c, CHANNELS, 1)
        nn.init.zeros_(self._out.bias)
        with torch.no_grad():
            self._out.bias[0] = -4.5  # plates are rare

    def forward(self, x: Tensor) -> Tensor:
        """The map, see the class."""
        fine = self._fine((x - 127.5) / 64)
        middle = self._middle(fine)
        coarse = self._up_middle(self._coarse(middle))
        middle = self._mix_middle(middle + functional.interpolate(coarse, scale_factor=2.0))
        up = functional.interpolate(self._up_fine(middle), scale_factor=2.0)
        out: Tensor = self._out(self._mix_fine(fine + up))
        return out


def detector_loss(maps: Tensor, batch: PatchBatch) -> Tensor:
    """Focal loss on the centres, IoU and distance on the sizes, distance on known corners."""
    maps = maps.float()
    device = maps.device
    rows = (torch.arange(PATCH[0] // STRIDE, device=device) + 0.5) * STRIDE
    columns = (torch.arange(PATCH[1] // STRIDE, device=device) + 0.5) * STRIDE
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    offset = batch.centre[:, :, None, None, :] - torch.stack([x, y], -1)  # N x S x h x w x 2
    size = batch.size[:, :, None, None, :]
    spread = (size * put(np.array([0.14, 0.18]), device)).clamp(min=4.0)
    heat = torch.exp(-((offset / spread) ** 2).sum(-1) / 2)
    nearest = (offset.abs() <= STRIDE / 2 + 1e-3).all(-1)
    plate = (batch.present == 1)[:, :, None, None]
    ignored = ((offset.abs() < size / 2 + 4).all(-1) & (batch.present == 2)[:, :, None, None]).any(
        1
    )
    peak = heat.flatten(2).amax(2)[..., None, None]
    heat = torch.where(nearest, torch.ones_like(heat), heat / peak.clamp(min=1e-3)).clamp(max=1)
    heat = heat * plate
    best, owner = heat.max(1)
    loss = _focal(maps[:, 0], best, ignored)
    core = best > _CORE
    pick = owner[core]
    which = core.nonzero()[:, 0]
    got = maps[:, 1:].permute(0, 2, 3, 1)[core]
    weight = best[core]
    goal_offset = offset.permute(0, 2, 3, 1, 4)[core].gather(
        1, pick[:, None, None].expand(-1, 1, 2)
    )[:, 0]
    goal_size = batch.size[which, pick]
    unit = put(np.array(_UNIT_SIZE), device)
    box_size = got[:, 2:4].clamp(-3, 3).exp() * unit
    overlap = _iou(got[:, :2] * STRIDE, box_size, goal_offset, goal_size)
    wanted = torch.cat([goal_offset / STRIDE, torch.log(goal_size / unit)], 1)
    apart = functional.smooth_l1_loss(got[:, :4], wanted, reduction="none").sum(1)
    upright = put(UNIT - 0.5, device)
    lean = (batch.corners - upright).flatten(2)[which, pick]
    known = batch.cornered[which, pick] * weight
    # Errors of corners are shares of the plate: small numbers that matter.
    bent = functional.smooth_l1_loss(got[:, 4:] * 10, lean * 10, reduction="none").mean(1)
    total = weight.sum() + 1e-6
    return (
        loss
        + 2 * ((1 - overlap) * weight).sum() / total
        + 0.5 * (apart * weight).sum() / total
        + 1.0 * (bent * known).sum() / (known.sum() + 1e-6)
    )


def _focal(logits: Tensor, heat: Tensor, ignored: Tensor) -> Tensor:
    """Penalty-reduced focal loss of CornerNet (Law and Deng 2018)."""
    chance = torch.sigmoid(logits).clamp(1e-5, 1 - 1e-5)
    centre = heat > 0.999
    hit = (torch.log(chance) * (1 - chance) ** 2)[centre].sum()
    rest = ~centre & ~ignored
    miss = (torch.log(1 - chance) * chance**2 * (1 - heat) ** 4)[rest].sum()
    return -(hit + miss) / centre.sum().clamp(min=1)


def _iou(at: Tensor, size: Tensor, goal_at: Tensor, goal_size: Tensor) -> Tensor:
    low = torch.maximum(at - size / 2, goal_at - goal_size / 2)
    high = torch.minimum(at + size / 2, goal_at + goal_size / 2)
    both = (high - low).clamp(min=0).prod(1)
    return both / (size.prod(1) + goal_size.prod(1) - both + 1e-6)

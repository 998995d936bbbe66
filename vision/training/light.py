"""What cameras do to a picture, on whole batches: light, blur, noise, night, JPEG.

Pictures are N x 3 x H x W (BGR), values 0 to 1. Parameters are drawn with NumPy on the
host, so a step's look follows from its seed on every device; only the noise itself
comes from the device's generator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_KERNEL = 7
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = 99.0
_CHROMA_CORNER = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))
# ITU-R BT.601, as JFIF uses it; rows Y, Cb, Cr over B, G, R.
_TO_YCC = ((0.114, 0.587, 0.299), (0.5, -0.331264, -0.168736), (-0.081312, -0.418688, 0.5))
_TO_BGR = ((1.0, 1.772, 0.0), (1.0, -0.344136, -0.714136), (1.0, 0.0, 1.402))


def put(values: NDArray[Any], device: torch.device) -> Tensor:
    """Host numbers on the device; a GPU goes on working meanwhile. float64 becomes float32."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if tensor.dtype == torch.float64:
        tensor = tensor.float()
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def look(
    pictures: Tensor, rng: np.random.Generator, noise: torch.Generator, strength: float
) -> Tensor:
    """Blur, tone, noise and compression; `strength` 0.5 for whole scenes, 1 for plates alone."""
    count = len(pictures)
    pictures = _blur(pictures, rng, strength)
    pictures = _tone(pictures, rng)
    if strength > 0:
        level = rng.uniform(1, 11, count) / 255 * (rng.random(count) < 0.6)
        grain = torch.randn(pictures.shape, generator=noise, device=pictures.device)
        pictures = pictures + grain * _column(level, pictures)
    pictures = pictures.clamp(0, 1)
    quality = rng.integers(25, 91, count).astype(np.float64)
    chosen = np.nonzero(rng.random(count) < 0.6)[0]
    if len(chosen):
        at = put(chosen, pictures.device)
        squeezed = jpeg(pictures.index_select(0, at), quality[chosen])
        pictures = pictures.index_copy(0, at, squeezed.to(pictures.dtype))
    return pictures


def shade(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Uneven light over half of the pictures."""
    count, _, height, width = pictures.shape
    field = rng.uniform(0.5, 1.25, (count, 1, 3, 4)) * (rng.random((count, 1, 1, 1)) < 0.5)
    field = np.where(field == 0, 1.0, field).astype(np.float32)
    smooth = functional.interpolate(put(field, pictures.device), (height, width), mode="bilinear")
    return pictures * smooth


def jpeg(pictures: Tensor, quality: NDArray[np.float64]) -> Tensor:
    """Baseline JPEG with 4:2:0 chroma, without its lossless part; `quality` 1 to 100 each."""
    device, (_, _, height, width) = pictures.device, pictures.shape
    padded = functional.pad(pictures, (0, -width % 16, 0, -height % 16), mode="replicate") * 255
    to_ycc = put(np.array(_TO_YCC), device)
    ycc = torch.einsum("kc,nchw->nkhw", to_ycc, padded)
    scale = np.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    luma = _quantise(ycc[:, :1] - 128, np.array(_LUMA, np.float64), scale)
    chroma_table = np.full((8, 8), _CHROMA)
    chroma_table[:4, :4] = _CHROMA_CORNER
    half = functional.avg_pool2d(ycc[:, 1:], 2)
    chroma = functional.interpolate(_quantise(half, chroma_table, scale), scale_factor=2.0)
    to_bgr = put(np.array(_TO_BGR), device)
    bgr = torch.einsum("ck,nkhw->nchw", to_bgr, torch.cat([luma + 128, chroma], 1))
    return (bgr[:, :, :height, :width] / 255).clamp(0, 1)


def _quantise(planes: Tensor, table: NDArray[np.float64], scale: NDArray[np.float64]) -> Tensor:
    """8 x 8 cosine transform, rounding to steps of the scaled table, and back."""
    count, channels, height, width = planes.shape
    k = np.arange(8)
    basis = (
        np.cos((2 * k[None] + 1) * k[:, None] * np.pi / 16)
        * np.where(k == 0, 0.5**0.5, 1.0)[:, None]
    )
    dct = put(basis / 2, planes.device)
    steps = np.clip(table[None] * scale[:, None, None], 1, 255).astype(np.float32)
    quant = put(steps, planes.device)[:, None, None, None]
    blocks = planes.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    coarse = torch.round(dct @ blocks @ dct.T / quant) * quant
    back = dct.T @ coarse @ dct
    return back.transpose(3, 4).reshape(count, channels, height, width)


def _blur(pictures: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """A third out of focus, a sixth blurred by motion."""
    count, channels, height, width = pictures.shape
    offsets = np.arange(_KERNEL) - _KERNEL // 2
    y, x = np.meshgrid(offsets, offsets, indexing="ij")
    chance = rng.random((count, 1, 1))
    sigma = rng.uniform(0.3, 1.1, (count, 1, 1)) * strength + 1e-3
    angle, reach = rng.uniform(0, np.pi, (count, 1, 1)), rng.uniform(0.5, 1.6, (count, 1, 1))
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    focus = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    motion = np.exp(-(across**2) / 0.18) * (np.abs(along) <= np.maximum(reach * strength, 0.5))
    sharp = ((x == 0) & (y == 0)).astype(np.float64)
    kernels = np.where(chance < 0.35, focus, np.where(chance < 0.5, motion, sharp))
    kernels = (kernels / kernels.sum(axis=(1, 2), keepdims=True)).astype(np.float32)
    weights = put(kernels, pictures.device).repeat_interleave(channels, 0)[:, None]
    edge = _KERNEL // 2
    flat = functional.pad(
        pictures.reshape(1, count * channels, height, width), (edge,) * 4, "replicate"
    )
    return functional.conv2d(flat, weights, groups=count * channels).reshape(pictures.shape)


def _tone(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Colour cast, infrared, gamma, contrast, brightness, haze, blown-out night plates."""
    count = len(pictures)
    gains = rng.uniform(0.82, 1.18, (count, 3))
    grey = rng.random(count) < 0.15
    gains[grey] = rng.uniform(0.9, 1.1, (int(grey.sum()), 3))
    mono = pictures.mean(1, keepdim=True)
    pictures = torch.where(_column(grey.astype(np.float64), pictures) > 0, mono, pictures)
    pictures = pictures * put(gains, pictures.device)[..., None, None]
    gamma = np.exp(rng.normal(0, 0.27, count))
    pictures = pictures.clamp(1e-4, 1) ** _column(gamma, pictures)
    contrast = np.clip(np.exp(rng.normal(-0.07, 0.28, count)), 0.3, 1.5)
    gain = np.minimum(np.exp(rng.normal(-0.08, 0.33, count)), 1.5)
    haze = rng.uniform(0, 60, count) / 255 * (rng.random(count) < 0.25)
    mean = pictures.mean((1, 2, 3), keepdim=True)
    pictures = (pictures - mean) * _column(contrast, pictures) + mean
    return pictures * _column(gain, pictures) + _column(haze, pictures)


def _column(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """One value a picture, shaped to multiply N x 3 x H x W."""
    return put(values, like.device)[:, None, None, None]

"""Layers both networks are built of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def convolution(
    inputs: int, outputs: int, stride: int | tuple[int, int] = 1, size: int = 3
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; at stride 1 the picture keeps its size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._first = convolution(width, width)
        self._second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        return functional.relu(x + self._second(self._first(x)))

"""From trained networks to ONNX files, checked against the networks they came from."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alpr.errors import Corrupt
from vision.onnx import open_session
from vision.training.detector import DetectorNet
from vision.training.reader import ReaderNet

OPSET = 17
_LARGEST_GAP = 2e-3  # of outputs that are logits or log probabilities


class _ReaderOutputs(nn.Module):
    """Log probabilities instead of logits."""

    def __init__(self, net: ReaderNet) -> None:
        super().__init__()
        self._net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities of texts and of states."""
        text, state = self._net(x)
        return functional.log_softmax(text, 2), functional.log_softmax(state, 1)


def export_detector(net: DetectorNet, file: Path) -> float:
    """Write `x` (1 x 3 x H x W) → `y`; returns the largest difference to PyTorch's output.

    Raises:
        Corrupt: onnxruntime computes something else than PyTorch.
    """
    sample = torch.rand(1, 3, 384, 640, generator=torch.Generator().manual_seed(1)) * 255
    axes = {"x": {2: "h", 3: "w"}, "y": {2: "h8", 3: "w8"}}
    return _export(net, sample, ["y"], axes, file)


def export_reader(net: ReaderNet, file: Path) -> float:
    """Write `x` (n x 3 x 64 x 128) → `lp` (n x 32 x 37), `st` (n x 52), log probabilities.

    Raises:
        Corrupt: onnxruntime computes something else than PyTorch.
    """
    sample = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(1)) * 255
    axes = {"x": {0: "n"}, "lp": {0: "n"}, "st": {0: "n"}}
    return _export(_ReaderOutputs(net), sample, ["lp", "st"], axes, file)


def _export(
    net: nn.Module, sample: Tensor, names: list[str], axes: dict[str, dict[int, str]], file: Path
) -> float:
    net = net.cpu().float().eval()
    with torch.no_grad(), warnings.catch_warnings():
        # The tracing exporter is named deprecated; it writes the plain graph that runs fastest.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (sample,),
            str(file),
            input_names=["x"],
            output_names=names,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        expected = net(sample)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    got = open_session(file.read_bytes(), 1).run(None, {"x": sample.numpy()})
    gap = max(float(np.abs(g - w.numpy()).max()) for g, w in zip(got, wanted, strict=True))
    if not gap < _LARGEST_GAP:
        raise Corrupt(f"{file} must compute what PyTorch does within {_LARGEST_GAP}; off by {gap}")
    return gap

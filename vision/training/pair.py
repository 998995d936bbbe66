"""A detector, then a reader that learns from the plates the detector finds."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import cv2
import msgspec
import torch
from torch import Tensor, nn

from vision.training.bank import empty_pictures, plate_bank, straighten, view_bank
from vision.training.data import LabelledSet
from vision.training.detector import DetectorNet, detector_loss
from vision.training.evaluate import detected_quads
from vision.training.export import export_detector, export_reader
from vision.training.progress import say
from vision.training.reader import ReaderNet, reader_loss, truth
from vision.training.recipe import Recipe
from vision.training.scenes import Scenes

if TYPE_CHECKING:
    from vision.training.train import Options

Net = TypeVar("Net", bound=nn.Module)

_SAVE_EVERY = 60.0  # seconds
_TELL_EVERY = 20.0
_PROBE = 25  # steps whose speed sets the length of a training by minutes
_SHARE_DETECTOR = 0.35


@dataclass(frozen=True)
class _Course:
    """One training; `seconds`, if given, sets the steps."""

    name: str
    steps: int
    seconds: float | None
    batch: int
    rate: float
    decay: float
    clip: float


def train_pair(chosen: Options, labelled: LabelledSet) -> None:
    """Train both networks on `labelled`; detector.onnx and reader.onnx come to lie in `out`."""
    out = chosen.out
    out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    device = torch.device(chosen.device)
    total = None if chosen.minutes is None else chosen.minutes * 60
    began = time.monotonic()
    empty = empty_pictures(chosen.backgrounds, labelled)
    say(f"{out}: {len(labelled.frames)} frames, {len(labelled.crops)} crops, {len(empty)} empty")
    views = view_bank(labelled, empty, chosen.views, chosen.seed, chosen.workers)
    plates = plate_bank(labelled, empty, chosen.plates, chosen.seed, chosen.workers)
    say(f"{out}: stock drawn in {time.monotonic() - began:.0f} s")
    scenes = Scenes(plates, views, chosen.seed, device)

    def detector_step(net: nn.Module, step: int, _progress: float) -> Tensor:
        batch = scenes.patches(step, chosen.detector_batch)
        return detector_loss(_forward(net, batch.pictures), batch)

    seconds = None if total is None else total * _SHARE_DETECTOR - (time.monotonic() - began)
    course = _Course(
        "detector", chosen.detector_steps, seconds, chosen.detector_batch, 3e-3, 0.9985, 5.0
    )
    detector = _fit(DetectorNet, course, detector_step, chosen, device)
    gap = export_detector(detector, out / "detector.onnx")
    say(f"{out}: detector.onnx written, differs by {gap:.1e} from PyTorch")

    quads = detected_quads(out / "detector.onnx", labelled)
    say(f"{out}: {len(quads)} of {len(labelled.frames)} plates have corners")
    straighten(plates, labelled, quads)
    scenes.replace_plates(plates)

    def reader_step(net: nn.Module, step: int, progress: float) -> Tensor:
        batch = scenes.crops(step, chosen.reader_batch, progress)
        wanted = truth(
            [scenes.plates.texts[i] for i in batch.index],
            batch.centres,
            scenes.plates.states[batch.index],
            device,
        )
        return reader_loss(_forward(net, batch.pictures), wanted, progress)

    seconds = None if total is None else total - (time.monotonic() - began)
    course = _Course("reader", chosen.reader_steps, seconds, chosen.reader_batch, 2e-3, 0.999, 2.0)
    reader = _fit(ReaderNet, course, reader_step, chosen, device)
    gap = export_reader(reader, out / "reader.onnx")
    say(f"{out}: reader.onnx written, differs by {gap:.1e} from PyTorch")


def _forward(net: nn.Module, pictures: Tensor) -> Tensor:
    """Channels last, and on a GPU in bfloat16."""
    pictures = pictures.to(memory_format=torch.channels_last)
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=pictures.is_cuda):
        outputs: Tensor = net(pictures)
    return outputs


def _fit(
    make: type[Net],
    course: _Course,
    step_loss: Callable[[nn.Module, int, float], Tensor],
    chosen: Options,
    device: torch.device,
) -> Net:
    """Train from the start or the last checkpoint: the mean of late weights."""
    recipe_file = chosen.out / f"{course.name}.json"
    weights = chosen.out / f"{course.name}.pt"
    checkpoint = chosen.out / f"{course.name}.checkpoint"
    if chosen.resume and recipe_file.is_file():
        say(f"{chosen.out}: {course.name} done before")
        done: Net = make()
        done.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return done
    torch.manual_seed(chosen.seed)
    net = make().to(device, memory_format=torch.channels_last).train()
    mean: Net = copy.deepcopy(net)
    rule = torch.optim.AdamW(net.parameters(), lr=course.rate, weight_decay=0.02, betas=(0.9, 0.99))
    step, steps, spent = 0, course.steps, 0.0
    if chosen.resume and checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        net.load_state_dict(state["net"])
        mean.load_state_dict(state["mean"])
        rule.load_state_dict(state["rule"])
        step, steps, spent = state["step"], state["steps"], state["spent"]
        say(f"{chosen.out}: {course.name} goes on at step {step} of {steps}")
    elif course.seconds is not None:
        steps = _affordable(net, course, step_loss, device)
        net.load_state_dict(mean.state_dict())
    began = saved = told = time.monotonic()
    losses: list[Tensor] = []
    while step < steps:
        progress = step / steps
        rate = min(1.0, (step + 1) / 150) * (0.49 * (1 + math.cos(math.pi * progress)) + 0.02)
        for group in rule.param_groups:
            group["lr"] = course.rate * rate
        torch.manual_seed(chosen.seed * 1_000_003 + step)  # dropout follows from the step, too
        loss = step_loss(net, step, progress)
        rule.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), course.clip)
        rule.step()
        step += 1
        _follow(mean, net, min(course.decay, step / (step + 30)))
        losses.append(loss.detach())
        now = time.monotonic()
        if now - told > _TELL_EVERY:
            value = float(torch.stack(losses).mean())
            say(f"{chosen.out}: {course.name} {step}/{steps} loss {value:.3f} {now - began:.0f} s")
            losses, told = [], now
        if now - saved > _SAVE_EVERY:
            saved = now
            state = {"net": net.state_dict(), "mean": mean.state_dict(), "rule": rule.state_dict()}
            state |= {"step": step, "steps": steps, "spent": spent + now - began}
            part = checkpoint.with_suffix(".part")
            torch.save(state, part)
            os.replace(part, checkpoint)
    recipe = Recipe(
        network=course.name,
        steps=steps,
        batch=course.batch,
        rate=course.rate,
        seed=chosen.seed,
        device=_device_name(device),
        seconds=round(spent + time.monotonic() - began, 1),
    )
    torch.save(mean.state_dict(), weights)
    recipe_file.write_bytes(msgspec.json.encode(recipe))
    checkpoint.unlink(missing_ok=True)
    return mean


def _affordable(
    net: nn.Module,
    course: _Course,
    step_loss: Callable[[nn.Module, int, float], Tensor],
    device: torch.device,
) -> int:
    """How many steps fit into the course's seconds; the network is used up."""
    if course.seconds is None:
        return course.steps
    began = time.monotonic()
    for probe in range(_PROBE + 5):
        if probe == 5:
            _finish(device)
            began = time.monotonic()
        torch.autograd.backward(step_loss(net, probe, 0.5))
        net.zero_grad(set_to_none=True)
    _finish(device)
    each = (time.monotonic() - began) / _PROBE * 1.06  # the optimiser's part
    return max(200, int(course.seconds / each) - _PROBE)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.no_grad()
def _follow(mean: nn.Module, net: nn.Module, decay: float) -> None:
    """Exponential mean of weights and statistics."""
    ours, theirs = mean.state_dict(), net.state_dict()
    floats = [k for k, v in ours.items() if v.dtype.is_floating_point]
    torch._foreach_mul_([ours[k] for k in floats], decay)
    torch._foreach_add_([ours[k] for k in floats], [theirs[k] for k in floats], alpha=1 - decay)
    for key in ours.keys() - set(floats):
        ours[key].copy_(theirs[key])


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

"""Figures over all folds, and the model cards that carry them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from vision.training.data import LabelledSet
from vision.training.metrics import (
    Calibration,
    Figure,
    Outcome,
    by,
    calibration_error,
    fit_calibration,
    held_out_chances,
    reliability,
    summary,
    width_class,
)
from vision.training.recipe import Recipe, outcomes_file

_ORIGIN = """The labelled pictures of \
[openalpr/benchmarks](https://github.com/openalpr/benchmarks) (AGPL-3.0; pictures collected there \
from the web): {frames}, and {crops} US plate crops; plates drawn in their designs and characters \
with new serials, and in designs of our own with the fonts of the extra `training` (SIL Open Font \
License, Apache License 2.0). Pictures without plates: those of \
[openalpr/train-detector](https://github.com/openalpr/train-detector) (AGPL-3.0) where \
`--backgrounds` names them. No picture of these is part of this project. Whoever needs a model \
free of that origin must train one on other data: `python -m vision.training --help`."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All figures, of networks that had not been trained on the plates they were judged by."""

    folds: int
    frames: dict[str, dict[str, Figure]]
    us_frames_by_width: dict[str, dict[str, Figure]]
    us_frames_by_light: dict[str, dict[str, Figure]]
    us_crops: dict[str, Figure]
    us_crops_by_state: dict[str, dict[str, Figure]]
    calibration: tuple[float, float, float]
    calibration_error: float
    calibration_error_frames: float
    reliability: list[tuple[float, float, int]]


def report(outcomes: Sequence[Outcome]) -> Report:
    """Figures over the outcomes of all folds; `outcomes` must hold US frames and crops."""
    frames = [o for o in outcomes if o.kind == "frame"]
    us = [o for o in frames if o.region == "us"]
    crops = [o for o in outcomes if o.kind == "crop"]
    told = [o for o in (*us, *crops) if o.said]
    chances = held_out_chances(told)
    right = [o.folded for o in told]
    on_frames = [i for i, o in enumerate(told) if o.kind == "frame"]
    fitted: Calibration = fit_calibration(told)
    return Report(
        folds=len({o.fold for o in outcomes}),
        frames=by(frames, lambda o: o.region),
        us_frames_by_width=by(us, width_class),
        us_frames_by_light=by(us, lambda o: o.light),
        us_crops=summary(crops),
        us_crops_by_state=by(crops, lambda o: o.state or ""),
        calibration=(fitted.bias, fitted.text, fitted.score),
        calibration_error=calibration_error(chances, right),
        calibration_error_frames=calibration_error(
            [chances[i] for i in on_frames], [right[i] for i in on_frames]
        ),
        reliability=reliability(chances, right),
    )


def write_cards(out: Path, labelled: LabelledSet, folds: int) -> None:
    """Write figures.json, detector.md and reader.md beside the networks in `out`."""
    outcomes: list[Outcome] = []
    for fold in range(folds):
        outcomes += msgspec.json.decode(outcomes_file(out, fold).read_bytes(), type=list[Outcome])
    figures = report(outcomes)
    (out / "figures.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n"
    )
    origin = _ORIGIN.format(frames=_frames(labelled), crops=len(labelled.crops))
    (out / "detector.md").write_text(_detector(out, figures, origin), encoding="utf-8")
    (out / "reader.md").write_text(_reader(out, figures, origin), encoding="utf-8")


def _detector(out: Path, figures: Report, origin: str) -> str:
    located = "\n".join(
        f"| {name} | {_percent(shares['located'])} |"
        for name, shares in (
            *((f"{region.upper()} frames", s) for region, s in figures.frames.items()),
            *((f"US, {name}", s) for name, s in figures.us_frames_by_width.items()),
        )
    )
    return f"""# Detector: where are plates in a picture?

{_identity(out, "detector")}

**Input** `x`: 1 x 3 x H x W, float32 0–255, blue-green-red, long side scaled to 640, padded \
right and below with grey 114 to multiples of 32. **Output** `y`: 1 x 13 x H/8 x W/8: logit of a \
plate centre; offset of the centre in cells (x, y); log(width/32), log(height/16); for the corners \
top left, top right, bottom right, bottom left the difference (x, y) from the upright box's corner \
as a share of its size. A small convolutional network with a feature pyramid and one head at \
stride 8.

**Data.** {origin}

**Recipe.** {_recipe(out, "detector")} Corners are learned from drawn plates alone, laid over real \
ones and onto pictures without plates; labelled boxes teach place and size.

## Figures
By cross-validation over {figures.folds} folds that share no plate: pairs of networks of the same \
make, each trained without the plates it is judged by ({_fold_steps(out, "detector", figures)}); \
the network in this file was trained on all of them. \
Located: one of the three best boxes has IoU ≥ 0.5 with the label. 95 % intervals (Wilson).

| | located |
|---|---|
{located}

## Limits
- Fronts and rears at 16 pixels of plate width or more at the 640 scale, one line of text. Steep \
angles, two-line and motorcycle plates, infrared and night frames are rare in the data.
- Labels give upright boxes only: corners could not be compared with true ones, only by how \
well the cut plates are read.
- Labelled pictures of this collection show one plate, mostly near the middle.
- **Do not use it** to decide anything about a person or vehicle by itself, nor as proof that a \
plate was or was not there.
"""


def _reader(out: Path, figures: Report, origin: str) -> str:
    rows = [
        *((f"{region.upper()} frames end to end", s) for region, s in figures.frames.items()),
        ("US crops", figures.us_crops),
        *((f"US frames, {name}", s) for name, s in figures.us_frames_by_width.items()),
        *((f"US frames, light {name}", s) for name, s in figures.us_frames_by_light.items()),
    ]
    table = "\n".join(
        f"| {name} | {s['exact'].n} | {_percent(s['exact'])} | {_percent(s['folded'])} | "
        f"{_percent(s['top5'])} |"
        for name, s in rows
    )
    states = ", ".join(
        f"{state} {round(s['state_top1'].share * s['state_top1'].n)}/{s['state_top1'].n}"
        for state, s in figures.us_crops_by_state.items()
    )
    trust = "\n".join(f"| {c:.2f} | {r:.2f} | {n} |" for c, r, n in figures.reliability)
    return f"""# Reader: what does a plate say, and who issued it?

{_identity(out, "reader")}

**Input** `x`: n x 3 x 64 x 128, float32 0–255, blue-green-red: the plate cut out by its corners \
and set upright, with margins of 5 % (sides) and 8 % (above, below), whatever its true shape. \
**Outputs** `lp`: n x 32 x 37 log probabilities for CTC (blank, 0–9, A–Z); `st`: n x 52 log \
probabilities of the issuing state, labels in `states.json` (50 states and DC), last "not told". \
A convolutional network down to 4 x 32, two transformer layers, a CTC head and a state head.

**Data.** {origin}

**Recipe.** {_recipe(out, "reader")} CTC before and after the transformer, characters by column \
(fading), state; six parts drawn plates, four parts real ones at the end; plates are warped, lit, \
blurred, compressed at 42 to 260 pixels of width, and cut out again by corners as wrong as a \
detector's. Signs and empty pictures teach it to read nothing.

## Figures
By cross-validation over {figures.folds} folds that share no plate: pairs of networks of the same \
make, each trained without the plates it is judged by ({_fold_steps(out, "reader", figures)}); \
the network in this file was trained on all of them. \
95 % intervals (Wilson). Folded: O as 0, I as 1.

| | n | exact | folded | truth in top 5 |
|---|---|---|---|---|
{table}

Issuing state of US crops, top 1: {_percent(figures.us_crops["state_top1"])}. Right by state: \
{states}.

The labels of US frames write every O as 0, those of crops and of other regions write both: an O \
read as 0 is half of what is wrong on crops and nearly all that is wrong on European plates.

## Confidence
`vision/calibration.py` turns the reader's probability p and the detector's score s into the \
chance that the text is right (folded): logistic({figures.calibration[0]:.2f} + \
{figures.calibration[1]:.2f} logit p + {figures.calibration[2]:.2f} logit s). Fitted on the \
outcomes of the folds; fitted without each fold in turn and tried on it, the expected calibration \
error is {figures.calibration_error:.3f} over US crops and frames, \
{figures.calibration_error_frames:.3f} over the frames alone.

| confidence | right | n |
|---|---|---|
{trust}

## Limits
- Few or no real examples (four crops or fewer) of MT, KS, NE, GA, SD, MO, OH, SC and AK.
- Small stacked letters beside the serial are read as part of it by some labels and not by others.
- Two-line and motorcycle plates, temporary paper plates and infrared are rare in the data.
- **Do not use it** as the sole ground for stopping, searching or accusing anyone: a person must \
compare the picture with the text and the issuing state, and confirm that the record is current. \
Do not use it on people, or to infer anything about them.
"""


def _identity(out: Path, name: str) -> str:
    data = (out / f"{name}.onnx").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return f"`{name}.onnx`, sha256 `{digest}`, {len(data) / 1e6:.1f} MB (float32)."


def _recipe(out: Path, name: str) -> str:
    recipe = msgspec.json.decode((out / f"{name}.json").read_bytes(), type=Recipe)
    return (
        f"`python -m vision.training`: {recipe.steps} steps of {recipe.batch}, AdamW "
        f"{recipe.rate:g} with cosine decay, moving average of the weights, seed {recipe.seed}; "
        f"{recipe.seconds:.0f} s on {recipe.device}."
    )


def _fold_steps(out: Path, name: str, figures: Report) -> str:
    """How long the networks of the folds were trained, for comparison."""
    files = [out / f"fold-{fold}" / f"{name}.json" for fold in range(figures.folds)]
    recipes = [msgspec.json.decode(file.read_bytes(), type=Recipe) for file in files]
    return ", ".join(f"{r.steps} steps of {r.batch}" for r in recipes)


def _frames(labelled: LabelledSet) -> str:
    counts = {r: sum(f.region == r for f in labelled.frames) for r in ("us", "eu", "br")}
    return f"{counts['us']} US, {counts['eu']} European and {counts['br']} Brazilian frames"


def _percent(figure: Figure) -> str:
    low, high = f"{figure.low * 100:.1f}", f"{figure.high * 100:.1f}"
    return f"{figure.share * 100:.1f} % ({low}–{high})"

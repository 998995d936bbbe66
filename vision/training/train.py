"""One command trains both networks, and writes ONNX files, figures and model cards."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from alpr.errors import ConfigurationError, PlatelakeError
from vision.training.data import LabelledSet, load
from vision.training.progress import say
from vision.training.recipe import outcomes_file

_EXAMPLE = "example: python -m vision.training --data plates --out trained --folds 0 --minutes 140"


@dataclass(frozen=True, slots=True)
class Options:
    """What to train, on what, for how long."""

    data: Path
    out: Path
    backgrounds: Path | None
    device: str
    minutes: float | None
    detector_steps: int
    reader_steps: int
    seed: int
    folds: int
    fold: int | None
    resume: bool
    workers: int
    plates: int
    views: int
    detector_batch: int
    reader_batch: int


def main() -> None:
    """Run from the command line; exit 3 if something needed is not there."""
    try:
        train(options(sys.argv[1:]))
    except ConfigurationError as error:
        sys.exit(_complain(str(error), 3))
    except PlatelakeError as error:
        sys.exit(_complain(str(error), 1))


def options(arguments: list[str]) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        "python -m vision.training", description=__doc__, epilog=_EXAMPLE
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with frames.csv, crops.csv, pictures")
    add("--out", type=Path, required=True, help="folder for networks, figures, checkpoints")
    add("--backgrounds", type=Path, help="folder of pictures without plates (default: frames' own)")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--minutes", type=float, help="minutes of training a pair of networks; sets the steps")
    add("--detector-steps", type=int, default=3500, help="exact length, if --minutes is not given")
    add("--reader-steps", type=int, default=9000)
    add("--detector-batch", type=int, help="pictures a step (default 16, with cuda 128)")
    add("--reader-batch", type=int, help="crops a step (default 32, with cuda 384)")
    add("--plates", type=int, help="drawn plates in stock (default 12000, with cuda 40000)")
    add("--views", type=int, help="pieces of frames in stock (default 4000, with cuda 12000)")
    add("--seed", type=int, default=1)
    add("--folds", type=int, default=4, help="parts for cross-validation; 0: none")
    add("--fold", type=int, help="train and judge this fold only")
    add("--resume", action="store_true", help="go on from the checkpoints in --out")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes that draw the stock")
    a = parser.parse_args(arguments)
    cuda = a.device == "cuda"
    if a.fold is not None and not 0 <= a.fold < a.folds:
        raise ConfigurationError(f"--fold must be 0 to {a.folds - 1}; got {a.fold}")
    return Options(
        a.data,
        a.out,
        a.backgrounds,
        a.device,
        a.minutes,
        a.detector_steps,
        a.reader_steps,
        a.seed,
        a.folds,
        a.fold,
        a.resume,
        a.workers,
        a.plates or (40000 if cuda else 12000),
        a.views or (12000 if cuda else 4000),
        a.detector_batch or (128 if cuda else 16),
        a.reader_batch or (384 if cuda else 32),
    )


def train(chosen: Options) -> None:
    """Cross-validate, then train on everything; finished parts in `out` are not done again.

    Raises:
        ConfigurationError: data, a package or the device is missing.
        Corrupt: an exported network computes something else than the trained one.
    """
    _check_packages(chosen.device)
    from vision.training.pair import train_pair

    labelled = load(chosen.data, max(2, chosen.folds))
    chosen.out.mkdir(parents=True, exist_ok=True)
    folds = range(chosen.folds) if chosen.fold is None else [chosen.fold]
    for fold in folds:
        file = outcomes_file(chosen.out, fold)
        if chosen.resume and file.is_file():
            say(f"fold {fold}: done before")
            continue
        folder = chosen.out / f"fold-{fold}"
        train_pair(replace(chosen, out=folder), labelled.without(fold))
        _judge(chosen, folder, labelled, fold)
    if chosen.fold is None:
        train_pair(chosen, labelled)
    if chosen.fold is None and chosen.folds:
        from vision.training.card import write_cards

        write_cards(chosen.out, labelled, chosen.folds)
        say(f"{chosen.out}: figures.json, detector.md, reader.md written")


def _judge(chosen: Options, folder: Path, labelled: LabelledSet, fold: int) -> None:
    from vision.training.evaluate import Networks, outcomes
    from vision.training.metrics import summary

    networks = Networks(folder / "detector.onnx", folder / "reader.onnx")
    found = outcomes(networks, labelled.only(fold), fold)
    outcomes_file(chosen.out, fold).write_bytes(msgspec.json.encode(found))
    for kind in ("us", "eu", "br", "crop"):
        part = [o for o in found if (o.kind if kind == "crop" else o.region) == kind]
        part = [o for o in part if (o.kind == "crop") == (kind == "crop")]
        shares = {k: round(f.share, 3) for k, f in summary(part).items()}
        say(f"fold {fold} {kind} n {len(part)}: {shares}")


def _check_packages(device: str) -> None:
    try:
        import torch
    except ImportError as error:
        raise ConfigurationError(
            "training needs PyTorch, which is not installed: pip install 'platelake[training]'"
        ) from error
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("--device cuda needs a CUDA device; PyTorch sees none")


def _complain(text: str, code: int) -> int:
    sys.stderr.write(text + "\n")
    return code

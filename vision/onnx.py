"""Model files: checked against their checksum, opened for the CPU."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import onnxruntime as ort

from alpr.errors import Corrupt

_SHA256 = {
    "detector": "fcc2f8f0fae41221768cbe58bfa9e3a03f121b025e54be1badc3c52367b5f41d",
    "reader": "42d1df2a44e61989c1562087b4626f543ebf3726b08171bce0044ea2676b8df2",
}


def model_version(name: str) -> str:
    """The first 8 hexadecimal digits of a model's checksum."""
    return _SHA256[name][:8]


def load(name: str) -> bytes:
    """The bytes of `vision/models/<name>.onnx`.

    Raises:
        Corrupt: the file is missing or is not the one this version was released with.
    """
    expected = _SHA256[name]
    source = files("vision.models") / f"{name}.onnx"
    try:
        data = source.read_bytes()
    except FileNotFoundError as error:
        raise Corrupt(f"model {source} is missing; install platelake again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise Corrupt(
            f"model {source} must have sha256 {expected}, has {found}; install platelake again"
        )
    return data


def open_session(model: bytes, threads: int) -> ort.InferenceSession:
    """A session on the CPU with `threads` threads inside one run; calls may be concurrent."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads sleep instead of spinning: other workers share the processors.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

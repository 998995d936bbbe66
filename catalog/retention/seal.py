"""A sealed folder: files, a manifest with the SHA-256 of each, and a signature over it.

It is made beside its place and moved there whole, so a folder that is there is complete. What
was changed, added or taken away afterwards shows (`check_seal`), with or without this program:
the manifest is JSON, the signature Ed25519 over its bytes, the public key PEM.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from alpr.errors import ConfigurationError, Corrupt, Unavailable
from catalog.retention.signing import PublicKey, SigningKey

MANIFEST, SIGNATURE, PUBLIC_KEY = "manifest.json", "manifest.sig", "public-key.pem"
_SEAL = frozenset({MANIFEST, SIGNATURE, PUBLIC_KEY})
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Sealed:
    """A folder that was written. `digest`: SHA-256 of its manifest, to be kept elsewhere."""

    folder: Path
    digest: str
    files: int
    bytes: int
    signed_by: str | None


class Folder:
    """A folder that is being written."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def write(self, name: str, data: bytes | str) -> None:
        """Write a whole file; `name` may have folders in it."""
        with self.open(name) as file:
            file.write(data.encode() if isinstance(data, str) else data)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Write a file bit by bit. Raises Unavailable if the medium is full or gone."""
        path = self.place / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(f"cannot write {path}: {error.strerror}; is it full?") from error


@contextmanager
def sealed(
    to: Path, about: Mapping[str, Any], key: SigningKey | None, done: list[Sealed]
) -> Iterator[Folder]:
    """Write a folder; sealed and moved to `to` when the block ends, and noted in `done`.

    `about` becomes the head of the manifest. `key` None: no signature. Raises ConfigurationError
    if `to` is there and is not an empty folder, Unavailable if it cannot be written.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ConfigurationError(f"{to} must be a new or empty folder: name another one")
    part = to.with_name(f".{to.name}.{uuid.uuid4().hex}.part")
    try:
        part.mkdir(parents=True, mode=0o700)
        folder = Folder(part)
        yield folder
        done.append(_seal(folder, to, about, key))
    except OSError as error:
        raise Unavailable(f"cannot write {to}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_seal(folder: Path, trusted: PublicKey | None = None) -> list[str]:
    """What is wrong with a sealed folder, in words; nothing if every byte is as it was sealed.

    `trusted`: the key that must have signed it; None: the one in the folder, which shows only
    that nobody changed it who does not have that key. Raises ConfigurationError if there is no
    manifest, Unavailable if the medium cannot be read.
    """
    try:
        return list(_problems(folder, trusted))
    except OSError as error:
        raise Unavailable(f"cannot read {folder}: {error.strerror}") from error


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest. Raises ConfigurationError if there is none, Corrupt if it is no manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(f"{folder} has no {MANIFEST}: it is no sealed folder") from error
    except ValueError as error:
        raise Corrupt(f"{folder / MANIFEST} is not JSON any more: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), list):
        raise Corrupt(f"{folder / MANIFEST} lists no files")
    return manifest


def _seal(folder: Folder, to: Path, about: Mapping[str, Any], key: SigningKey | None) -> Sealed:
    files: list[dict[str, Any]] = [
        {"path": name, "bytes": path.stat().st_size, "sha256": _sha256(path)}
        for name, path in _files(folder.place)
    ]
    signer = None if key is None else key.public.fingerprint
    manifest = json.dumps(
        {**about, "signed_by": signer, "files": files}, indent=1, sort_keys=True, default=str
    ).encode()
    folder.write(MANIFEST, manifest)
    if key is not None:
        folder.write(SIGNATURE, key.sign(manifest).hex() + "\n")
        folder.write(PUBLIC_KEY, key.public.pem)
    if to.exists():
        to.rmdir()
    folder.place.rename(to)
    size = sum(file["bytes"] for file in files)
    return Sealed(to, hashlib.sha256(manifest).hexdigest(), len(files), size, signer)


def _problems(folder: Path, trusted: PublicKey | None) -> Iterator[str]:
    try:
        manifest = manifest_of(folder)
    except Corrupt as error:
        yield str(error)
        return
    yield from _signature_problems(folder, manifest, trusted)
    listed: dict[str, dict[str, Any]] = {}
    for entry in manifest["files"]:
        name = entry.get("path", "") if isinstance(entry, dict) else ""
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            yield f"the manifest lists {name!r}, which is no file of this folder"
        else:
            listed[name] = entry
    there = dict(_files(folder))
    for name, entry in listed.items():
        if name not in there:
            yield f"{name} is missing"
        elif there[name].stat().st_size != entry.get("bytes"):
            yield f"{name} has {there[name].stat().st_size} bytes, not {entry.get('bytes')}"
        elif _sha256(there[name]) != entry.get("sha256"):
            yield f"{name} has other bytes than when it was sealed"
    for name in there.keys() - listed.keys():
        yield f"{name} was added after sealing"


def _signature_problems(
    folder: Path, manifest: Mapping[str, Any], trusted: PublicKey | None
) -> Iterator[str]:
    signature_file, key_file = folder / SIGNATURE, folder / PUBLIC_KEY
    if manifest.get("signed_by") is None and not signature_file.exists():
        if trusted is not None:
            yield "it is not signed, so nobody can say who sealed it"
        return
    try:
        key = trusted or PublicKey.from_pem(key_file.read_bytes(), str(key_file))
        signature = bytes.fromhex(signature_file.read_text().strip())
    except (FileNotFoundError, ValueError, ConfigurationError) as error:
        yield f"its signature cannot be checked: {error}"
        return
    if not key.verifies(signature, (folder / MANIFEST).read_bytes()):
        yield f"the manifest is not what {key.fingerprint[:16]}… signed"


def _files(folder: Path) -> Iterable[tuple[str, Path]]:
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if name not in _SEAL and (path.is_file() or path.is_symlink()):
            found.append((name, path))
    return sorted(found)


def _sha256(path: Path) -> str:
    h = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            h.update(chunk)
    return h.hexdigest()

"""Purge certificates: what ended, why, and what was found afterwards, signed and chained.

A certificate is JSON, signed over its canonical form (keys sorted, no spaces, no fractions).
Each holds the digest of the one before it, so that one taken out of the middle is missed; one
taken off the end is missed by whoever keeps a copy, and by the tables' cut-offs, which no older
certificate accounts for (see `catalog.retention.ledger`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from importlib import metadata
from typing import Any, Final, Literal

import msgspec

from alpr.errors import Corrupt
from catalog.retention.signing import PublicKey, SigningKey
from catalog.retention.verification import Verification

FORMAT: Final = 1
FIRST: Final = "0" * 64
"""`previous` of the first certificate of an installation."""


class EndedDay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What went of one table, retention class and local day of capture, and by which rule.

    `files` are files of rows, `packs` of images. `digest`: see `digest_of_files`. `ended_at`:
    the moment from which it had to be gone.
    """

    table: str
    retention_class: str
    day: date
    policy: str
    clause: str
    why: str
    kept_for: str
    ended_at: datetime
    rows: int
    files: int
    bytes: int
    packs: int
    pack_bytes: int
    digest: str


class RespectedHold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hold that was still to be copied, and the partitions (DAY/CLASS) that stayed for it."""

    hold_id: str
    partitions: tuple[str, ...]


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One link of an installation's chain: a purge, or a later attestation about one.

    `number` counts from 1 without a gap. `previous`: digest of the certificate before it.
    `run_id` of an attestation is the purge it is about; it has no days of its own. `judged_at`:
    the moment by which everything that had ended had to go. `remaining`: addresses that were
    deleted and are there nevertheless; `unfinished`: holds that could not be copied;
    `unknown_classes`: stored classes without a policy, of which nothing went.
    """

    format: int = FORMAT
    kind: Literal["purge", "attestation"]
    installation: str
    number: int
    previous: str
    run_id: str
    started_at: datetime
    finished_at: datetime
    judged_at: datetime
    issued_at: datetime
    software: str
    cutoffs: dict[str, dict[str, date]]
    """Per table and class the first local day that is still kept."""
    days: tuple[EndedDay, ...]
    others: dict[str, int]
    """What else went, by kind: orphans, metadata files, manifests, broken uploads."""
    holds: tuple[RespectedHold, ...]
    remaining: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    unknown_classes: tuple[str, ...] = ()
    verification: Verification | None
    key: str
    """Fingerprint of the public key."""


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate as it is stored: its JSON, and the signature over the canonical form."""

    certificate: msgspec.Raw
    signature: str

    @staticmethod
    def parse(document: bytes, origin: str) -> Signed:
        """From a stored document. Raises Corrupt, naming `origin`, for anything else."""
        try:
            signed = msgspec.json.decode(document, type=Signed)
            msgspec.json.decode(signed.certificate, type=Certificate)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"{origin} is no certificate that this version knows: {error}") from error
        return signed

    @property
    def content(self) -> Certificate:
        """The certificate, decoded."""
        return msgspec.json.decode(self.certificate, type=Certificate)

    @property
    def document(self) -> bytes:
        """The canonical JSON of certificate and signature."""
        return canonical(msgspec.json.encode(self))

    @property
    def digest(self) -> str:
        """SHA-256 of the document, in hex: what the next certificate names."""
        return hashlib.sha256(self.document).hexdigest()

    def signed_by(self, key: PublicKey) -> bool:
        """Whether this key signed it, and it says so."""
        try:
            signature = base64.b64decode(self.signature, validate=True)
        except ValueError:
            return False
        return self.content.key == key.fingerprint and key.verifies(
            signature, canonical(self.certificate)
        )


def sign(certificate: Certificate, key: SigningKey) -> Signed:
    """Sign a certificate that names the key. ValueError if it names another."""
    if certificate.key != key.public.fingerprint:
        raise ValueError("a certificate must name the key that signs it")
    content = msgspec.json.encode(certificate, order="sorted")
    signature = base64.b64encode(key.sign(canonical(content))).decode()
    return Signed(certificate=msgspec.Raw(content), signature=signature)


def canonical(document: bytes | msgspec.Raw) -> bytes:
    """The one form of a JSON document that is signed: keys sorted, no spaces, UTF-8.

    Raises Corrupt for a fraction, which would have more than one spelling.
    """
    value = msgspec.json.decode(document)
    _no_fractions(value)
    return msgspec.json.encode(value, order="sorted")


def digest_of_files(files: Sequence[tuple[str, int]]) -> str:
    """SHA-256, in hex, of a list of (address, bytes): sorted, a line each, `BYTES ADDRESS`."""
    digest = hashlib.sha256()
    for address, size in sorted(files):
        digest.update(f"{size} {address}\n".encode())
    return digest.hexdigest()


def software() -> str:
    """Name and version of what issues certificates."""
    return f"platelake {metadata.version('platelake')}"


def _no_fractions(value: Any) -> None:
    if isinstance(value, float):
        raise Corrupt("a certificate holds whole numbers only, this one holds a fraction")
    if isinstance(value, dict):
        for each in value.values():
            _no_fractions(each)
    elif isinstance(value, list):
        for each in value:
            _no_fractions(each)

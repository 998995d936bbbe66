"""The installation's key for certificates: Ed25519, made once, never leaves its file.

The private key lies in the secrets folder, mode 0600. Its public half is stored beside the
certificates; who does not want to trust the store takes a copy from elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from alpr.errors import ConfigurationError


@dataclass(frozen=True)
class PublicKey:
    """What checks signatures. `fingerprint`: SHA-256 of the 32 raw bytes, in hex."""

    raw: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the raw key, in hex."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def pem(self) -> bytes:
        """As a PEM file, which other tools read."""
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @staticmethod
    def from_pem(data: bytes, origin: str) -> PublicKey:
        """From a PEM file's bytes. Raises ConfigurationError, naming `origin`."""
        try:
            key = serialization.load_pem_public_key(data)
        except ValueError as error:
            raise ConfigurationError(f"{origin} holds no public key in PEM form") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigurationError(f"{origin} must hold an Ed25519 key, it is of another kind")
        return PublicKey(_raw(key))

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature is this key's over these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """The private key; `repr` tells its public fingerprint only."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @staticmethod
    def load(path: Path) -> SigningKey:
        """From its file. Raises ConfigurationError if missing, open to others or no such key."""
        try:
            mode = path.stat().st_mode
            data = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the signing key {path}: {error.strerror}"
            ) from error
        if mode & 0o077:
            raise ConfigurationError(
                f"the signing key {path} may be read by its owner only (mode 0600), "
                f"its mode is {mode & 0o777:04o}: correct it, and ask who read it"
            )
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{path} holds no private key in PEM form") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError(f"{path} must hold an Ed25519 key, it is of another kind")
        return SigningKey(key)

    @staticmethod
    def load_or_make(path: Path) -> SigningKey:
        """From its file, which is made at the first call. Raises as `load`.

        A second process that makes it at the same time gets the first one's.
        """
        if not path.exists():
            _make(path)
        return SigningKey.load(path)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(_raw(self._private.public_key()))

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.fingerprint[:16]}…)"


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                Ed25519PrivateKey.generate().private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(part)  # unlike a rename, this fails when another was faster
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

"""A certificate of the installation's own, for a service that must be spoken to over TLS."""

from __future__ import annotations

import ipaddress
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.preflight import LOOPBACK

_VALID = timedelta(days=365)
_RENEW_BEFORE = timedelta(days=60)
_SKEW = timedelta(hours=1)


def ensure_certificate(path: Path, common_name: str, now: datetime) -> bytes:
    """Return the certificate in `path` (PEM) for clients to trust, made anew when it ends soon.

    The file holds key and certificate, mode 0600. It is good for the loopback address only.
    """
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if certificate.not_valid_after_utc - now > _RENEW_BEFORE:
            return certificate.public_bytes(serialization.Encoding.PEM)
    except FileNotFoundError:
        pass
    key = ec.generate_private_key(ec.SECP256R1())
    public = _certificate(key, common_name, now).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private + public)
    part.replace(path)
    return public


def _certificate(
    key: ec.EllipticCurvePrivateKey, common_name: str, now: datetime
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )

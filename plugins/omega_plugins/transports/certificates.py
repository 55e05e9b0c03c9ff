"""Certificates for development: a CA of one's own, and a server's certificate by it."""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from omega.core.errors import InputError, shown
from omega.core.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTS = ("localhost", "127.0.0.1", "::1")
MAX_DAYS = 825
"""Longer, and some TLS libraries refuse a server's certificate."""
_FILE_MODE = 0o600
_CLOCKS_DIFFER = timedelta(hours=1)


class Certificates(msgspec.Struct, frozen=True):
    """Four PEM files; give `ca` to the TVs, `certificate` and `key` to the server, and `ca_key` to nobody."""

    ca: Path
    ca_key: Path
    certificate: Path
    key: Path
    hosts: tuple[str, ...]
    expires: datetime


def make(
    folder: Path, *, hosts: Sequence[str] = HOSTS, days: int = 365, force: bool = False, now: datetime | None = None
) -> Certificates:
    """Write a new CA and a server's certificate for `hosts`, names or addresses, both EC P-256, with mode 0600.

    Raises InputError when one of the files is there, unless `force`, or a host is none.
    """
    if not 1 <= days <= MAX_DAYS:
        raise InputError(f"days is {days}, allowed: 1..{MAX_DAYS}")
    if not hosts:
        raise InputError("hosts is empty, allowed: names and addresses of the server, at least one")
    starts = (now or datetime.now(UTC)) - _CLOCKS_DIFFER
    expires = (starts + _CLOCKS_DIFFER + timedelta(days=days)).replace(microsecond=0)
    names = [_general(host) for host in hosts]
    made = Certificates(*_paths(folder), tuple(hosts), expires)
    files = (made.ca, made.ca_key, made.certificate, made.key)
    if not force and (taken := [file for file in files if os.path.lexists(file)]):
        raise InputError(f"{taken[0]} is there already, allowed: a new name: give another folder, or --force")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key, starts, expires)
    certificate = _server(ca, ca_key, key, names, hosts[0])
    pem = serialization.Encoding.PEM
    # The keys go last: whoever finds all four files finds a set that belongs together, unless a crash broke a --force.
    contents = (ca.public_bytes(pem), _secret(ca_key), certificate.public_bytes(pem), _secret(key))
    for file, content in zip(files, contents, strict=True):
        write_atomically(file, content, mode=_FILE_MODE)
    return made


def _paths(folder: Path) -> tuple[Path, Path, Path, Path]:
    return folder / "ca.pem", folder / "ca.key", folder / "server.pem", folder / "server.key"


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not name or not all(char.isalnum() or char in "-._*" for char in name):
        raise InputError(f"host is {shown(host)}, allowed: a name like shard.example.org or an address like 10.0.0.7")
    return x509.DNSName(name)


def _authority(key: ec.EllipticCurvePrivateKey, starts: datetime, expires: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Exogenesis Omega development CA")])
    return (
        _begun(name, name, key.public_key(), starts, expires)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    first: str,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, first[:64])])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _begun(ca.subject, name, key.public_key(), ca.not_valid_before_utc, ca.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _begun(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, starts: datetime, expires: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(expires)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _secret(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

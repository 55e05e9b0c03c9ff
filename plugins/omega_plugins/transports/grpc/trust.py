"""Whom a client believes to be its shard."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from omega.core.errors import InputError

if TYPE_CHECKING:
    from omega_plugins.transports.grpc.address import Address


def trust(address: Address, ca: Path | None) -> grpc.ChannelCredentials | None:
    """Return what checks the server's name and certificate, None for grpc; raises InputError for a bad `ca`."""
    if not address.secure:
        if ca:
            raise InputError(f"ca is {ca}, allowed: none with grpc, which checks nobody: write grpcs")
        return None
    try:
        context = ssl.create_default_context(cafile=ca)
        roots = ca.read_bytes() if ca else _of_the_system(context)
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError, too
        reason = error.strerror or "it holds no certificate" if isinstance(error, OSError) else error
        raise InputError(f"ca is {ca} ({reason}), allowed: a PEM file of certificates") from error
    if not roots:
        raise InputError("the system has no certificate authorities, allowed: a ca of one's own: name its PEM file")
    return grpc.ssl_channel_credentials(root_certificates=roots)


def _of_the_system(context: ssl.SSLContext) -> bytes:
    """Return as PEM what OpenSSL trusts here; gRPC would take a list of its own."""
    loaded = [ssl.DER_cert_to_PEM_cert(certificate) for certificate in context.get_ca_certs(binary_form=True)]
    if loaded:
        return "".join(loaded).encode()
    folder = ssl.get_default_verify_paths().capath  # OpenSSL looks a certificate up in it by its hash, when needed
    return b"\n".join(file.read_bytes() for file in sorted(Path(folder).glob("*.[0-9]"))) if folder else b""

"""Development certificates: what is in them, and that none is lost."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from omega.core.errors import InputError
from omega_plugins.transports.certificates import make

if TYPE_CHECKING:
    from pathlib import Path

    from omega_plugins.transports.certificates import Certificates


def files(made: Certificates) -> list[Path]:
    return [made.ca, made.ca_key, made.certificate, made.key]


def test_the_files_are_the_owners_alone_and_nothing_else_is_left(tmp_path: Path) -> None:
    made = make(tmp_path / "new" / "folder")
    assert sorted(made.ca.parent.iterdir()) == sorted(files(made))
    assert {stat.S_IMODE(file.stat().st_mode) for file in files(made)} == {0o600}


def test_both_are_p256_and_the_server_is_signed_by_the_ca(tmp_path: Path) -> None:
    made = make(tmp_path, hosts=["shard.example.org", "10.0.0.7", "müller.example"], days=30)
    ca, server = (x509.load_pem_x509_certificate(file.read_bytes()) for file in (made.ca, made.certificate))
    server.verify_directly_issued_by(ca)
    for certificate, file in ((ca, made.ca_key), (server, made.key)):
        key = load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert key.curve.name == "secp256r1"
        assert key.public_key() == certificate.public_key()
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["shard.example.org", "xn--mller-kva.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert server.not_valid_after_utc == made.expires
    assert timedelta(days=29) < made.expires - datetime.now(UTC) <= timedelta(days=30)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl isn't installed")
def test_openssl_takes_them_strictly(tmp_path: Path) -> None:
    made = make(tmp_path)
    for host in (["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"], ["-verify_ip", "::1"]):
        command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", *host, "-CAfile", str(made.ca)]
        done = subprocess.run([*command, str(made.certificate)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_two_calls_make_two_cas(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a"), make(tmp_path / "b")
    assert first.ca_key.read_bytes() != second.ca_key.read_bytes()


@pytest.mark.parametrize("kept", ["ca.pem", "ca.key", "server.pem", "server.key"])
def test_nothing_is_overwritten_unless_forced(tmp_path: Path, kept: str) -> None:
    (tmp_path / kept).write_text("mine")
    with pytest.raises(InputError, match=f"{kept} is there already.*--force"):
        make(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [kept]
    assert (tmp_path / kept).read_text() == "mine"
    made = make(tmp_path, force=True)
    assert b"BEGIN" in (tmp_path / kept).read_bytes()
    assert {stat.S_IMODE(file.stat().st_mode) for file in files(made)} == {0o600}


def test_a_link_into_nowhere_is_there_too(tmp_path: Path) -> None:
    (tmp_path / "server.key").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="is there already"):
        make(tmp_path)


@pytest.mark.parametrize("days", [0, -1, 826])
def test_days_have_bounds(tmp_path: Path, days: int) -> None:
    with pytest.raises(InputError, match=r"allowed: 1\.\.825"):
        make(tmp_path, days=days)


@pytest.mark.parametrize("host", ["", " ", "a b", "a/b", "https://a", "x" * 64, "a..b", "a\nb"])
def test_a_host_that_is_none_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(InputError, match="host is"):
        make(tmp_path, hosts=[host])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="can't be written"):
        make(tmp_path / "x")


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="can't be written"):
        make(tmp_path / "file")

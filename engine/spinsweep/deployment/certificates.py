"""Certificates of one cluster: a private authority, and a pair for each role.

The authority's key signs the three pairs and is never written: nobody can make a fourth.  A scheduler and a worker
both listen and connect; a client only connects, and TLS refuses its certificate at a server.  Those of one run are
held in memory; those of a user's schedulers on this machine lie in a folder of the user.
"""

from __future__ import annotations

import os
import secrets
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from distributed import Security

from spinsweep.deployment.security import AUTHORITY, CLIENT, ROLES, files_of, in_memory, own_folder
from spinsweep.errors import RunnerError
from spinsweep.private import make_folders
from spinsweep.system import BINARY

SKEW = timedelta(minutes=10)  # that clocks of the cluster may differ
DAYS = 365
LONG = 3650  # days, of those that nobody hands on


def make_certificates(folder: Path, days: int = DAYS, now: datetime | None = None) -> datetime:
    """Make a folder (mode 0700) with certificates (0644) and private keys (0600), whole or not at all.

    Parameters
    ----------
    folder : must not exist yet
    days : how long they are valid

    Returns
    -------
    When they end.

    Raises
    ------
    RunnerError
        There is something at ``folder``, which is not overwritten, or no folder can be made there.
    """
    if folder.exists() or folder.is_symlink():
        raise RunnerError(f"{folder} exists and is left as it is; give the name of a new folder")
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.partial")
    try:
        make_folders(staging)
    except OSError as error:
        raise RunnerError(
            f"{folder} cannot be made ({error.strerror}: {error.filename}); give one where you may write"
        ) from None
    made, end = _issue(days, now)
    for name, text in made.items():
        _write(staging / name, text.encode(), 0o600 if name.endswith("-key.pem") else 0o644)
    try:
        staging.rename(folder)
    except OSError:
        shutil.rmtree(staging)
        raise RunnerError(f"{folder} exists and is left as it is; give the name of a new folder") from None
    return end


def temporary() -> Security:
    """Certificates of one run, in memory: they end with the processes that were handed them."""
    made, _ = _issue(LONG)
    return in_memory(made)


def own_certificates() -> Path:
    """The folder of certificates for this user's schedulers on this machine, made where it is missing.

    Raises
    ------
    RunnerError
        It cannot be made.
    """
    folder = own_folder()
    if not folder.exists():
        try:
            make_certificates(folder, LONG)
        except RunnerError:
            if not folder.exists():  # another process made it meanwhile
                raise
    return folder


def _issue(days: int, now: datetime | None = None) -> tuple[dict[str, str], datetime]:
    """Certificates and keys in PEM by the names of their files, and when they end."""
    start = now or datetime.now(UTC)
    end = start + timedelta(days=days)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"spinsweep cluster {secrets.token_hex(8)}")])

    def builder(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - SKEW)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )

    authority = (
        builder(name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    made = {AUTHORITY: authority.public_bytes(Encoding.PEM)}
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if role != CLIENT:
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"spinsweep {role}")])
        certificate = (
            builder(subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"spinsweep-{role}")]), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        path, key_path = files_of(Path(), role)
        made[path.name] = certificate.public_bytes(Encoding.PEM)
        made[key_path.name] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {name: content.decode() for name, content in made.items()}, end


def _usage(*, authority: bool) -> x509.KeyUsage:
    never = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    others = dict.fromkeys((*never, "decipher_only"), False)
    return x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **others)


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, mode), "wb") as file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), mode)  # whatever the umask
        file.write(content)

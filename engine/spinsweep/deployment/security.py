"""Who may talk to a cluster: everything is encrypted, and both ends show a certificate of one private authority.

A Dask scheduler runs any code that a client sends, and so do its workers, and every user of a machine reaches its
loopback.  A run makes certificates for the processes that it starts; schedulers that stay use those in a folder of
their user; on any other address they come from ``spinsweep certs``.  Only ``--insecure`` goes without.  Dask compares
no host names: whoever holds a key of the authority belongs to the cluster.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from distributed import Security

from spinsweep.errors import RunnerError
from spinsweep.files import text_of
from spinsweep.private import objection, state_home

LOOPBACK = "127.0.0.1"
NO_DASHBOARD = f"{LOOPBACK}:0"
"""Where the web server of a worker listens, which Dask starts in any case."""
SCHEDULER, WORKER, CLIENT = ROLES = ("scheduler", "worker", "client")
AUTHORITY = "ca.pem"
HELP = "`spinsweep certs DIR` makes them"
OWN = "spinsweep-certificates"
"""Folder of the certificates for a user's schedulers on one machine."""
PARTS = ("tls_ca_file", *(f"tls_{role}_{part}" for role in ROLES for part in ("cert", "key")))


def files_of(folder: Path, role: str) -> tuple[Path, Path]:
    """Certificate and private key of a role in a folder of certificates."""
    return folder / f"{role}.pem", folder / f"{role}-key.pem"


def own_folder() -> Path:
    """Where the certificates for this user's schedulers on this machine lie, once there are any.

    Raises
    ------
    RunnerError
        This user has no home.
    """
    try:
        return state_home() / OWN
    except OSError as error:
        raise RunnerError(f"there is nowhere to keep certificates: {error.strerror}, or give --tls DIR") from None


def in_memory(made: Mapping[str, str]) -> Security:
    """Certificates and keys in PEM by the names of their files, as Dask takes them; encryption is required."""
    parts = {"tls_ca_file": made[AUTHORITY]}
    for role in ROLES:
        pair = (made[path.name] for path in files_of(Path(), role))
        parts |= dict(zip((f"tls_{role}_cert", f"tls_{role}_key"), pair, strict=True))
    return Security(require_encryption=True, **parts)


def to_text(security: Security | None) -> str:
    """In one line, for the standard input of a process that is to use the same."""
    return json.dumps(None if security is None else {part: getattr(security, part) for part in PARTS})


def from_text(text: str) -> Security | None:
    """What :func:`to_text` wrote."""
    parts = json.loads(text)
    return None if parts is None else Security(require_encryption=True, **parts)


def credentials(folder: Path, *roles: str) -> Security:
    """The certificates of ``roles`` in a folder that ``spinsweep certs`` made; encryption is required with them.

    Raises
    ------
    RunnerError
        A file is missing, unreadable, open to others or where others could replace it, a certificate is out of date,
        of another authority or a client's in the place of a scheduler's or worker's, or a key is that of another
        certificate.
    """
    now = datetime.now(UTC)
    authority_path = folder / AUTHORITY
    authority = _certificate(authority_path, now)
    parts: dict[str, Any] = {"tls_ca_file": str(authority_path.absolute())}
    for role in roles:
        path, key_path = files_of(folder, role)
        certificate = _certificate(path, now)
        try:
            certificate.verify_directly_issued_by(authority)
        except (InvalidSignature, ValueError, TypeError):
            raise RunnerError(f"{path} was not issued by {authority_path}; use both files from one folder") from None
        if role != CLIENT and not _for_servers(certificate):
            raise RunnerError(f"{path} is not a certificate of a {role}: it is for clients only; {HELP}")
        key = _read(key_path)
        if key_path.stat().st_mode & 0o077:
            raise RunnerError(f"{key_path} can be read by others; `chmod 600 {key_path}`")
        try:
            matches = load_pem_private_key(key, None).public_key() == certificate.public_key()
        except (ValueError, TypeError):
            raise RunnerError(f"{key_path} does not hold a private key in PEM without a password; {HELP}") from None
        if not matches:
            raise RunnerError(f"{key_path} is not the key of {path}; use both files from one folder")
        parts |= {f"tls_{role}_cert": str(path.absolute()), f"tls_{role}_key": str(key_path.absolute())}
    return Security(require_encryption=True, **parts)


def as_config(security: Security) -> dict[str, Any]:
    """The same as settings of Dask, for processes that are handed a configuration and no object."""
    settings: dict[str, Any] = {"distributed.comm.require-encryption": True}
    for role in ROLES:
        tls = security.get_tls_config_for_role(role)
        settings |= {f"distributed.comm.tls.{role}.{part}": tls[part] for part in ("cert", "key")}
        settings["distributed.comm.tls.ca-file"] = tls["ca_file"]
    return settings


def as_environment(security: Security) -> dict[str, str]:
    """The same as environment variables, for Dask's own commands and clients."""
    settings = as_config(security)
    return {f"DASK_{n.upper().replace('.', '__').replace('-', '_')}": str(v) for n, v in settings.items()}


def scheduler_address(option: str) -> str:
    """A scheduler's address: ``option`` itself, or what stands in the scheduler file (JSON) of that name.

    Raises
    ------
    RunnerError
        It is the name of a file that holds no address.
    """
    path = Path(option)
    if path.suffix != ".json" and not path.is_file():
        return option
    if not path.exists():
        raise RunnerError(
            f"{option} does not exist; `spinsweep scheduler --scheduler-file {option}` writes it once it listens"
        )
    try:
        return str(json.loads(text_of(path))["address"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunnerError(
            f"{option} is not a scheduler file; `spinsweep scheduler --scheduler-file FILE` writes one"
        ) from None


def secured(address: str, folder: Path | None, *roles: str, insecure: bool = False) -> tuple[str, Security | None]:
    """A scheduler's address with its scheme, and the certificates to use it with (None: not encrypted).

    Parameters
    ----------
    address : ``HOST:PORT``, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``
    folder : certificates; None: those of this user's schedulers, on loopback
    roles : whose certificates are needed
    insecure : whether to go without

    Raises
    ------
    RunnerError
        It is no address, is not encrypted, or its scheme and ``folder`` do not go together.
    """
    if not is_address(address):
        raise RunnerError(f"{address or 'nothing'} is not an address of a scheduler, such as tls://192.0.2.7:8786")
    if "://" not in address:
        encrypted = on_loopback(host_of(f"tcp://{address}")) and not insecure
        address = f"{'tls' if folder or encrypted else 'tcp'}://{address}"
    if address.startswith("tls://"):
        return address, credentials(folder or _own(address), *roles)
    if folder is not None:
        raise RunnerError(f"{address} is not encrypted, but certificates were given; write tls:// or leave out --tls")
    require_loopback(host_of(address), insecure=insecure)
    if not insecure:
        raise RunnerError(
            f"{address} is not encrypted: every user of this machine could run code there as you; `spinsweep "
            "scheduler` starts one at tls://, or spell out --insecure"
        )
    return address, None


def _own(address: str) -> Path:
    """This user's own certificates, for a scheduler on this machine's loopback."""
    if not on_loopback(host_of(address)):
        raise RunnerError(f"{address} needs certificates: give --tls DIR; {HELP}")
    folder = own_folder()
    if not folder.exists():
        raise RunnerError(
            f"{address} needs certificates, and you have none in {folder}, where `spinsweep scheduler` puts them: "
            "give --tls DIR with those of that scheduler"
        )
    return folder


def is_address(text: str) -> bool:
    """Whether a text is ``HOST:PORT``, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``."""
    try:
        parts = urlsplit(text if "://" in text else f"tcp://{text}")
        return parts.scheme in ("tcp", "tls") and bool(parts.hostname) and bool(parts.port)
    except ValueError:  # a port that is none
        return False


def host_of(address: str) -> str:
    """The host of an address with a scheme."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def require_loopback(host: str, *, insecure: bool = False, name: str = "") -> None:
    """``RunnerError`` if ``host`` is used without certificates and is not loopback; ``name`` is what it calls it."""
    if not insecure and not on_loopback(host):
        raise RunnerError(
            f"{name or host or 'every address of this machine'} is beyond loopback, where anyone could run code on "
            f"the cluster: give --tls DIR ({HELP}), or spell out --insecure"
        )


def on_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback, by every address that its name stands for; IPv6 also in brackets."""
    if not host:
        return False
    try:
        addresses = socket.getaddrinfo(bare(host), None)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_loopback for address in addresses)


def bare(host: str) -> str:
    """A host without the brackets around an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _for_servers(certificate: x509.Certificate) -> bool:
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.SERVER_AUTH in purposes


def _read(path: Path) -> bytes:
    try:
        if complaint := objection(path):
            raise RunnerError(complaint)
        return path.read_bytes()
    except OSError as error:
        raise RunnerError(f"{path} cannot be read ({error.strerror}); {HELP}") from None


def _certificate(path: Path, now: datetime) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(_read(path))
    except ValueError:
        raise RunnerError(f"{path} does not hold a certificate in PEM; {HELP}") from None
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= now <= end:
        raise RunnerError(f"{path} is valid from {start:%F} to {end:%F}; make new ones with `spinsweep certs`")
    return certificate

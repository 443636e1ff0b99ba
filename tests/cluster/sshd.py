"""An SSH server on loopback with a configuration and keys of its own, and no other way in than one key."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slurmd import SBIN, free_port

CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/sshd.pid
AuthenticationMethods publickey
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
SetEnv PYTHONPATH={path}
"""


@dataclass(frozen=True)
class Server:
    """Where the server is, and what a client needs."""

    port: int
    key: Path
    known_hosts: Path

    def file(self, path: Path, *more: str) -> Path:
        """Write a cluster file for two workers over this server."""
        lines = [
            'kind = "ssh"',
            'hosts = ["127.0.0.1", "127.0.0.1"]',
            f"ssh_port = {self.port}",
            f'user = "{getpass.getuser()}"',
            f'keys = ["{self.key}"]',
            f'known_hosts = "{self.known_hosts}"',
        ]
        path.write_text("\n".join([*lines, *more]))
        return path


def missing() -> list[str]:
    """Programs that this machine lacks."""
    path = f"{os.environ['PATH']}:{SBIN}"
    return [p for p in ("sshd", "ssh-keygen") if shutil.which(p, path=path) is None]


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """The server, its files in ``folder``."""
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    port = free_port()
    (folder / "sshd_config").write_text(
        CONFIGURATION.format(port=port, folder=folder, path=os.environ.get("PYTHONPATH", ""))
    )
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd locks itself in
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:{SBIN}")
    assert program is not None
    with (folder / "sshd.log").open("w") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        deadline = time.monotonic() + 15
        while not answers(port):
            assert process.poll() is None, (folder / "sshd.log").read_text()
            assert time.monotonic() < deadline, (folder / "sshd.log").read_text()
            time.sleep(0.05)
        yield Server(port, folder / "user", folder / "known_hosts")
    finally:
        process.terminate()
        process.wait(10)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

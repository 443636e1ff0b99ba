"""Sweeps over a real SSH server."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from commands import assert_same_cube, logged, spinsweep
from sshd import Server

pytestmark = pytest.mark.ssh


def test_a_sweep_over_ssh_gives_the_cube_that_this_machine_gives(
    ssh: Server, tmp_path: Path, local_cube: Path
) -> None:
    file = ssh.file(tmp_path / "ssh.toml")
    words = [*logged(tmp_path, 0), "--cluster", file, "--store", "c.zarr"]
    quiet = {**os.environ, "DASK_LOGGING__DISTRIBUTED": "critical"}  # as a user's configuration may have it
    status, text = spinsweep(*words, cwd=tmp_path, env=quiet)
    assert status == 0, text
    assert "on tcp://127.0.0.1:" in text
    assert_same_cube(tmp_path / "c.zarr", local_cube)


def test_hosts_speak_tls_when_certificates_are_given(ssh: Server, tmp_path: Path, local_cube: Path) -> None:
    assert spinsweep("certs", "certificates", cwd=tmp_path)[0] == 0
    file = ssh.file(tmp_path / "ssh.toml")
    words = ["--cluster", file, "--tls", "certificates", "--store", "c.zarr"]
    status, text = spinsweep(*logged(tmp_path, 0), *words, cwd=tmp_path)
    assert status == 0, text
    assert "on tls://127.0.0.1:" in text
    assert_same_cube(tmp_path / "c.zarr", local_cube)


def test_a_host_whose_key_is_not_known_is_refused(ssh: Server, tmp_path: Path) -> None:
    (tmp_path / "nobody").write_text("")
    file = replace(ssh, known_hosts=tmp_path / "nobody").file(tmp_path / "ssh.toml")
    status, text = spinsweep(*logged(tmp_path), "--cluster", file, "--store", "c.zarr", cwd=tmp_path)
    assert status == 2
    assert "ssh: the cluster did not start: " in text
    assert "not trusted" in text
    assert "Traceback" not in text


def test_a_scheduler_beyond_loopback_is_refused_without_certificates(ssh: Server, tmp_path: Path) -> None:
    file = ssh.file(tmp_path / "ssh.toml", 'listen = "0.0.0.0"')
    status, text = spinsweep(*logged(tmp_path), "--cluster", file, "--store", "c.zarr", cwd=tmp_path)
    assert status == 2
    assert "0.0.0.0 is beyond loopback" in text

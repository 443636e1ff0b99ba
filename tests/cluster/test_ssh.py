"""Sweeps over a real SSH server."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from commands import assert_same_cube, done, ended, logged, spinsweep, start_with, until
from slurmd import free_port
from sshd import Server, answers

pytestmark = pytest.mark.ssh


def test_a_sweep_over_ssh_gives_the_cube_that_this_machine_gives(
    ssh: Server, tmp_path: Path, local_cube: Path
) -> None:
    file = ssh.file(tmp_path / "ssh.toml")
    words = [*logged(tmp_path, 0), "--cluster", file, "--store", "c.zarr"]
    quiet = {**os.environ, "DASK_LOGGING__DISTRIBUTED": "critical"}  # as a user's configuration may have it
    status, text = spinsweep(*words, cwd=tmp_path, env=quiet)
    assert status == 0, text
    assert "on tls://127.0.0.1:" in text
    assert_same_cube(tmp_path / "c.zarr", local_cube)


@pytest.mark.slow
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


@pytest.mark.slow
def test_after_a_killed_driver_the_port_is_named_until_the_orphans_end_and_the_same_command_continues(
    ssh: Server, tmp_path: Path
) -> None:
    port = free_port()
    file = ssh.file(tmp_path / "ssh.toml", f"port = {port}")
    idle = "spinsweep.deployment.clients.ORPHAN = 8"
    words = [*logged(tmp_path, 2), "--set", "x=0,0.1,0.2", "--cluster", file, "--store", "c.zarr"]
    first = start_with(idle, *words, cwd=tmp_path)
    until(lambda: done(tmp_path / "c.zarr") >= 10)  # each block takes longer than an idle scheduler lives
    first.kill()
    ended(first)
    status, text = spinsweep(*words, cwd=tmp_path)
    assert status == 2
    assert f"ssh: port {port} is taken on 127.0.0.1" in text
    until(lambda: not answers(port), 30)
    assert done(tmp_path / "c.zarr") <= 20, "what was not being computed was not begun"
    status, text = spinsweep(*words, cwd=tmp_path)
    assert status == 0, text
    assert "are there" in text
    assert "30 of 30 done" in text

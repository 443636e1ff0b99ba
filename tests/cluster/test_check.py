"""A wrong cluster is found before anything is started or written."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spinsweep.cli import main
from spinsweep.deployment.check import Access, check
from spinsweep.deployment.cluster_file import Jobs, Local, Ssh
from spinsweep.errors import RunnerError

SLURM = 'kind = "slurm"\nworkers = 1\nmemory = "1GiB"\nwalltime = "01:00:00"\n'
SSH = 'kind = "ssh"\nhosts = ["127.0.0.1"]\n'
KUBERNETES = 'kind = "kubernetes"\nworkers = 1\nmanifest = "pod.yaml"\n'
LOCAL = 'kind = "local"\nworkers = 1\n'


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback at which something listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("text", "words", "complaint"),
    [
        (SLURM + 'interface = "eth7"\nscheduler_interface = "lo"', "", "slurm: interface eth7 is beyond loopback"),
        (SLURM + 'interface = "eth7"', "--insecure", "slurm: this machine has no interface eth7"),
        (SLURM + 'tls = "none"', "", "none/ca.pem cannot be read"),
        (SLURM.replace("slurm", "pbs"), "", "pbs: this machine has no command qsub"),
        (SSH + 'listen = "0.0.0.0"', "", "0.0.0.0 is beyond loopback"),
        (
            SSH.replace("127.0.0.1", "192.0.2.7"),
            "",
            "ssh: listen is 127.0.0.1, through which 192.0.2.7 and this machine",
        ),
        (SSH + "port = {taken}", "", "ssh: port {taken} is taken on 127.0.0.1"),
        (SSH + 'tls = "none"', "", "none/ca.pem cannot be read"),
        (KUBERNETES, "", "spell out --insecure"),
        (KUBERNETES, "--insecure", "pod.yaml: is a Pod; give one DaskCluster"),
        (KUBERNETES.replace("pod", "none"), "--insecure", "none.yaml: cannot be read (No such file or directory)"),
        (
            KUBERNETES,
            "--insecure --tls none",
            "--tls none: a cluster of kind kubernetes does not use your",
        ),
        ('kind = "gpu"', "", "pip install 'spinsweep[gpu]'"),
        (
            LOCAL,
            "--watchers {taken}",
            "--watchers {taken}: the page cannot be served on this port: Address already in use",
        ),
        (LOCAL, "--tls none", "--tls none: a cluster of kind local does not use your certificates; leave it out"),
        (LOCAL, "--workers 7", "--workers 7: --cluster cluster.toml says how many there are"),
        (
            'kind = "scheduler"\naddress = "none.json"',
            "",
            "none.json does not exist; `spinsweep scheduler --scheduler-file ",
        ),
    ],
)
def test_a_wrong_cluster_is_said_in_one_line_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    taken: int,
    text: str,
    words: str,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    (tmp_path / "cluster.toml").write_text(text.replace("{taken}", str(taken)))
    (tmp_path / "pod.yaml").write_text("kind: Pod\n")
    more = words.replace("{taken}", str(taken)).split()
    assert main(["run", "endurance", "--cluster", "cluster.toml", "--store", "c.zarr", *more]) == 2
    said = capsys.readouterr().err
    assert complaint.replace("{taken}", str(taken)) in said
    assert said.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"cluster.toml", "pod.yaml"}


@pytest.mark.parametrize("given", ["", "slurm", ":abc", "127.0.0.1", "127.0.0.1:99999", "tcp://:1"])
def test_what_is_no_cluster_is_told_what_would_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "endurance", "--cluster", given]) == 2
    assert capsys.readouterr().err == (
        f"spinsweep: --cluster {given or repr(given)} is not a cluster file (.toml, .yaml, .yml), a scheduler file "
        "or an address such as tls://127.0.0.1:8786\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("interfaces", [{"interface": "eth7"}, {"scheduler_interface": "eth7"}])
def test_no_interface_of_jobs_goes_beyond_loopback_without_certificates(interfaces: dict[str, str]) -> None:
    where = Jobs(kind="slurm", workers=1, memory="1GiB", walltime="01:00:00", **interfaces)
    with pytest.raises(RunnerError, match="slurm: interface eth7 is beyond loopback"):
        check(where)


def test_a_free_port_and_hosts_that_are_this_machine_are_right() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    check(Local(workers=1), Access(watchers=port))
    check(Ssh(kind="ssh", hosts=("127.0.0.1", "localhost")), Access(watchers=1))

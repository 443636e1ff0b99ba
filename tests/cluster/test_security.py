"""Certificates, and what is refused without them."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from commands import SPINSWEEP, ended, spinsweep, start, until
from slurmd import SBIN, free_port

from spinsweep.cli import main
from spinsweep.deployment.certificates import make_certificates
from spinsweep.deployment.security import CLIENT, ROLES, credentials, on_loopback, secured
from spinsweep.errors import RunnerError

ELSEWHERE = "192.0.2.7"  # RFC 5737: an address that is nobody's


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "certificates"
    make_certificates(path)
    return path


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """Of a scheduler on loopback that demands certificates."""
    number = free_port()
    words = ["scheduler", "--port", number, "--dashboard-port", 0, "--tls", folder]
    process = start(*words, cwd=folder.parent)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(f"scheduler tls://127.0.0.1:{number}, ")
    yield number
    process.terminate()
    assert ended(process)[0] == 0


def greeting(port: int, context: ssl.SSLContext) -> bytes:
    """The first bytes that the scheduler sends to a client with this TLS context."""
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain) as wrapped:
        return wrapped.recv(1)


def context(authority: Path, pair: tuple[Path, Path] | None) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname = False
    found.load_verify_locations(authority)
    if pair is not None:
        found.load_cert_chain(*pair)
    return found


def pair(folder: Path, role: str) -> tuple[Path, Path]:
    return folder / f"{role}.pem", folder / f"{role}-key.pem"


def test_a_client_with_a_certificate_of_the_cluster_is_greeted(port: int, folder: Path) -> None:
    assert greeting(port, context(folder / "ca.pem", pair(folder, "client")))


def test_a_client_without_a_certificate_is_refused(port: int, folder: Path) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        greeting(port, context(folder / "ca.pem", None))


def test_a_client_of_another_authority_is_refused(port: int, folder: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path / "others")
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        greeting(port, context(folder / "ca.pem", pair(tmp_path / "others", "client")))
    status, said = spinsweep(
        "run", "endurance", "--cluster", f"tls://127.0.0.1:{port}", "--tls", tmp_path / "others", cwd=tmp_path
    )
    assert status == 2
    assert "does not accept these certificates" in said


def test_a_client_that_does_not_encrypt_is_refused(port: int, tmp_path: Path) -> None:
    status, said = spinsweep("run", "endurance", "--cluster", f"tcp://127.0.0.1:{port}", "--insecure", cwd=tmp_path)
    assert status == 2
    assert f"no scheduler answers at tcp://127.0.0.1:{port}" in said


def test_the_certificate_of_a_client_is_no_good_for_a_server(folder: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*pair(folder, "client"))
    outside, inside = socket.socketpair()
    client = context(folder / "ca.pem", pair(folder, "worker"))
    with outside, inside:
        sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
        listening = server.wrap_bio(received, sent, server_side=True)
        asking = client.wrap_bio(sent, received)
        with pytest.raises(ssl.SSLWantReadError):
            asking.do_handshake()
        with pytest.raises(ssl.SSLWantReadError):
            listening.do_handshake()
        with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
            asking.do_handshake()


def test_keys_are_for_their_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_certificates(tmp_path / "certificates")
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "certificates").iterdir()}
    assert modes == {
        "ca.pem": 0o644,
        **{f"{role}.pem": 0o644 for role in ROLES},
        **{f"{role}-key.pem": 0o600 for role in ROLES},
    }
    assert stat.S_IMODE((tmp_path / "certificates").stat().st_mode) == 0o700


def test_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["certs", "certificates"]) == 0
    before = {p: p.read_bytes() for p in (tmp_path / "certificates").iterdir()}
    capsys.readouterr()
    assert main(["certs", "certificates"]) == 2
    assert (
        capsys.readouterr().err
        == "spinsweep: certificates exists and is left as it is; give the name of a new folder\n"
    )
    assert {p: p.read_bytes() for p in (tmp_path / "certificates").iterdir()} == before


def test_a_key_that_others_can_read_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "open")
    (tmp_path / "open" / "client-key.pem").chmod(0o640)
    with pytest.raises(RunnerError, match=r"client-key.pem can be read by others; `chmod 600 .*client-key.pem`$"):
        credentials(tmp_path / "open", CLIENT)


@pytest.mark.parametrize("what", ["ca.pem", "client.pem", "client-key.pem", "."])
def test_certificates_that_others_could_replace_are_refused_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    shutil.copytree(folder, tmp_path / "open")
    place = tmp_path / "open" / what
    place.chmod(place.stat().st_mode | 0o020)
    words = ["run", "endurance", "--cluster", "tls://127.0.0.1:1", "--tls", str(tmp_path / "open")]
    assert main([*words, "--store", str(tmp_path / "c.zarr")]) == 2
    assert capsys.readouterr().err == f"spinsweep: {place} can be written by others; `chmod go-w {place}`\n"


def test_ones_own_certificates_are_made_once_and_told_to_dasks_own_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "with a blank" / "state"))
    said = []
    for _ in range(2):
        assert main(["certs", "--export"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    acquire_bench = tmp_path / "with a blank" / "state" / "spinsweep-certificates"
    assert stat.S_IMODE(acquire_bench.stat().st_mode) == stat.S_IMODE(acquire_bench.parent.stat().st_mode) == 0o700
    script = f'eval "$1"; {sys.executable} -c "{SHOW}"'
    shown = subprocess.run(["sh", "-c", script, "sh", said[0]], capture_output=True, text=True, check=True).stdout
    assert shown == f"True {acquire_bench}/ca.pem {acquire_bench}/worker-key.pem\n"
    assert main(["certs"]) == 2
    assert "name the folder to make" in capsys.readouterr().err


SHOW = "from distributed import Security as S; s = S(); print(s.require_encryption, s.tls_ca_file, s.tls_worker_key)"


@pytest.mark.parametrize("role", ["scheduler", "worker"])
def test_the_certificate_of_a_client_does_not_pass_for_that_of_another_role(
    folder: Path, tmp_path: Path, role: str
) -> None:
    shutil.copy(folder / "ca.pem", tmp_path)
    shutil.copy(folder / "client.pem", tmp_path / f"{role}.pem")
    shutil.copy(folder / "client-key.pem", tmp_path / f"{role}-key.pem")
    with pytest.raises(RunnerError, match=rf"{role}[.]pem is not a certificate of a {role}: it is for clients only"):
        credentials(tmp_path, role)


def test_certificates_below_a_file_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunnerError, match=r"file/certificates cannot be made \(File exists: .*/file\); give one"):
        make_certificates(tmp_path / "file" / "certificates")


def test_certificates_that_do_not_fit_together_are_refused(folder: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path / "others")
    mixed = tmp_path / "mixed"
    shutil.copytree(folder, mixed)
    shutil.copy(tmp_path / "others" / "client-key.pem", mixed)
    with pytest.raises(RunnerError, match=r"client-key[.]pem is not the key of"):
        credentials(mixed, CLIENT)
    shutil.copy(tmp_path / "others" / "client.pem", mixed)
    with pytest.raises(RunnerError, match=r"client[.]pem was not issued by"):
        credentials(mixed, CLIENT)
    (mixed / "client.pem").write_text("nothing")
    with pytest.raises(RunnerError, match=r"client[.]pem does not hold a certificate"):
        credentials(mixed, CLIENT)
    (mixed / "client.pem").unlink()
    with pytest.raises(RunnerError, match=r"client.pem cannot be read \(No such file or directory\)"):
        credentials(mixed, CLIENT)


def test_certificates_out_of_date_are_refused_with_their_dates(tmp_path: Path) -> None:
    make_certificates(tmp_path / "old", days=30, now=datetime.now(UTC) - timedelta(days=31))
    with pytest.raises(RunnerError, match=r"ca.pem is valid from \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d; make new ones"):
        credentials(tmp_path / "old", CLIENT)


def test_a_machine_that_only_starts_runs_needs_no_other_keys(folder: Path, tmp_path: Path) -> None:
    for name in ("ca.pem", "client.pem", "client-key.pem"):
        shutil.copy(folder / name, tmp_path)
    credentials(tmp_path, CLIENT)
    with pytest.raises(RunnerError, match=r"worker[.]pem cannot be read"):
        credentials(tmp_path, CLIENT, "worker")


@pytest.mark.parametrize(
    "words",
    [
        ["scheduler", "--host", "0.0.0.0"],
        ["scheduler", "--host", ""],
        ["scheduler", "--host", "::"],
        ["scheduler", "--host", ELSEWHERE],
        ["worker", f"tcp://{ELSEWHERE}:8786"],
        ["worker", f"{ELSEWHERE}:8786", "--bench", "bench.toml"],
        ["run", "endurance", "--cluster", f"tcp://{ELSEWHERE}:8786"],
        ["run", "endurance", "--cluster", "cluster.json"],
    ],
    ids=lambda words: " ".join(words),
)
def test_nothing_goes_beyond_loopback_without_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (tmp_path / "cluster.json").write_text(f'{{"address": "tcp://{ELSEWHERE}:8786"}}')
    monkeypatch.chdir(tmp_path)
    status = main(words)
    said = "".join(capsys.readouterr())
    assert status == 2
    assert "is beyond loopback" in said
    assert "--tls DIR" in said
    assert "--insecure" in said
    assert said.count("\n") == 1


def test_loopback_is_every_address_that_a_name_stands_for() -> None:
    assert on_loopback("127.0.0.1")
    assert on_loopback("127.3.2.1")
    assert on_loopback("::1")
    assert on_loopback("[::1]")
    assert on_loopback("localhost")
    assert not on_loopback("")
    assert not on_loopback("0.0.0.0")
    assert not on_loopback(ELSEWHERE)
    assert not on_loopback("no-such-host.invalid")


def test_scheme_and_certificates_have_to_go_together(folder: Path) -> None:
    assert secured("127.0.0.1:8786", None, CLIENT, insecure=True) == ("tcp://127.0.0.1:8786", None)
    with pytest.raises(RunnerError, match="every user of this machine could run code there as you"):
        secured("tcp://127.0.0.1:8786", None, CLIENT)
    address, security = secured(f"{ELSEWHERE}:8786", folder, CLIENT)
    assert address == f"tls://{ELSEWHERE}:8786"
    assert security is not None
    assert security.require_encryption
    with pytest.raises(RunnerError, match="needs certificates: give --tls DIR"):
        secured(f"tls://{ELSEWHERE}:8786", None, CLIENT)
    with pytest.raises(RunnerError, match="is not encrypted, but certificates were given"):
        secured("tcp://127.0.0.1:8786", folder, CLIENT)
    with pytest.raises(RunnerError, match="is not an address of a scheduler"):
        secured("ws://127.0.0.1:8786", None, CLIENT)
    assert secured(f"tcp://{ELSEWHERE}:8786", None, CLIENT, insecure=True) == (f"tcp://{ELSEWHERE}:8786", None)


def private_network() -> bool:
    """Whether this user may make a network of a process of its own, with nothing but loopback in it."""
    there = shutil.which("unshare") and shutil.which("ip", path=f"{os.environ['PATH']}:{SBIN}")
    return bool(there) and subprocess.run(["unshare", "--net", "true"], check=False).returncode == 0


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses, of IPv4 and IPv6, at which anything listens in the network of a process."""
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        rows = [line.split() for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
        for host, port in (row[1].split(":") for row in rows if row[3] == "0A"):
            words = struct.unpack(f"<{len(host) // 8}I", bytes.fromhex(host))  # the kernel's own byte order
            found.add((socket.inet_ntop(family, struct.pack(f">{len(words)}I", *words)), int(port, 16)))
    return found


def test_what_listens_is_seen_at_every_kind_of_address() -> None:
    places = set()
    with ExitStack() as stack:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")):
            server = stack.enter_context(socket.create_server((host, 0), family=family))
            places.add(server.getsockname()[:2])
        assert places <= listening(os.getpid())


@pytest.mark.skipif(not private_network(), reason="needs root: the scheduler listens on all addresses of a network")
@pytest.mark.parametrize("secure", [True, False])
def test_beyond_loopback_the_dashboard_still_stays_on_it(folder: Path, tmp_path: Path, secure: bool) -> None:
    port = free_port()
    how = ["--tls", str(folder)] if secure else ["--insecure"]
    words = [*SPINSWEEP, "scheduler", "--host", "0.0.0.0", "--port", str(port), "--dashboard-port", "0", *how]
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *words],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith(f"scheduler {'tls' if secure else 'tcp'}://"), line
        found = listening(process.pid)
        assert {host for host, number in found if number == port} == {"0.0.0.0"}
        assert {host for host, number in found if number != port} == {"127.0.0.1"}
    finally:
        process.terminate()
        ended(process)


def test_scheduler_workers_and_their_dashboards_listen_on_loopback_only(tmp_path: Path) -> None:
    scheduler = start("scheduler", "--port", 0, "--dashboard-port", 0, "--scheduler-file", "c.json", cwd=tmp_path)
    until((tmp_path / "c.json").exists)
    worker = start("worker", "c.json", "--workers", 2, cwd=tmp_path)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    roots = [psutil.Process(p.pid) for p in (scheduler, worker)]
    family = [*roots, *(c for root in roots for c in root.children(recursive=True))]
    listening = [c.laddr for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
    worker.terminate()
    assert ended(worker)[0] == 0
    scheduler.terminate()
    assert ended(scheduler)[0] == 0
    assert len(listening) >= 2 + 2 * 3, "scheduler and dashboard; two nannies with a worker and its web server each"
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert not (tmp_path / "c.json").exists()


@pytest.mark.slow
def test_a_lane_measures_over_tls(folder: Path, tmp_path: Path) -> None:
    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    scheduler = start("scheduler", "--port", port, "--dashboard-port", 0, "--tls", folder, cwd=tmp_path)
    command = " ".join([sys.executable, "-m", "spinsweep.cli"])
    lane = f"{command} worker {address} --tls {folder} --bench bench.toml"
    small = "--set device=0 --set width=0.5 --set cycles=5 --set currents=4 --set resamples=20"
    run = f"{command} run characterization --cluster {address} --tls {folder} --on bench.toml {small}"
    script = f"{lane} & lane=$!; {run}; status=$?; kill $lane; wait $lane; exit $status"
    (tmp_path / "both.sh").write_text(script)
    env = {**os.environ, "SPINSWEEP_STATE": str(tmp_path / "state"), "SPINSWEEP_LOCKS": str(tmp_path / "locks")}
    emulated = ["emulate", "bench.toml", "--speed", "1e5", "--run", "sh both.sh"]
    status, said = spinsweep(*emulated, cwd=tmp_path, env=env)
    scheduler.terminate()
    ended(scheduler)
    assert status == 0, said
    assert f"on {address}" in said
    assert "1 of 1 done" in said

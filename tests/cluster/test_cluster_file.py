"""Cluster files: what they mean, and what is said about wrong ones."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path

import pytest
from commands import spinsweep

from spinsweep.cli import main
from spinsweep.cli.walltime import timeout_advice, walltime_advice
from spinsweep.deployment.check import CLASSES
from spinsweep.deployment.clients import cluster_client, deployment
from spinsweep.deployment.cluster_file import KINDS, Gpu, Jobs, Kubernetes, Local, Running, Ssh, load
from spinsweep.deployment.job_script import job_options, walltime_s
from spinsweep.errors import RunnerError

CLUSTER = Path(__file__).parents[2] / "cluster"
SLURM = 'kind = "slurm"\nworkers = 4\nmemory = "2GiB"\nwalltime = "01:00:00"\n'


def written(folder: Path, text: str, name: str = "cluster.toml") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "workers = 4",
            "kind: is missing; it is one of local, slurm, pbs, sge, lsf, ssh, kubernetes, gpu, scheduler",
        ),
        ('kind = "slrum"', "kind: there is no 'slrum' (did you mean 'slurm'?)"),
        (
            'kind = "local"\nworker = 4',
            "worker: local has no such key (did you mean 'workers'?) (4 given); local takes workers, minimum",
        ),
        ('kind = "local"\nworkers = "4"', 'workers: input should be a valid integer ("4" given)'),
        ('kind = "local"\nworkers = 2\nminimum = 3', "minimum is 3, above workers, which is 2"),
        ('kind = "slurm"\nworkers = 4\nmemory = "2GiB"', "walltime: field required"),
        (SLURM.replace("2GiB", "2 Gibble"), 'memory: must look like "4GiB" ("2 Gibble" given)'),
        (SLURM.replace('"2GiB"', "4"), 'memory: must look like "4GiB" (4 given)'),
        (SLURM.replace("01:00:00", "1h"), 'walltime: must look like "01:00:00" ("1h" given)'),
        ("kind = 3", "kind: there is no 3; it is one of local, "),
        (SLURM + 'queue = "a; touch pwned"', "queue: string should match pattern"),
        (SLURM + 'directives = ["--a\\nrm -rf ."]', "directives.0: string should match pattern"),
        (SLURM + 'scratch = "/tmp/$(id)"', "scratch: /tmp/$(id) goes into a command line"),
        (SLURM + '[environment]\n"A;id" = "1"', "environment.A;id.[key]: string should match pattern"),
        ('kind = "ssh"\nhosts = []', "hosts: is empty; give at least one"),
        ('kind = "ssh"\nhosts = ["-oProxyCommand=id"]', "hosts.0: string should match pattern"),
        ('kind = "scheduler"', "address: field required"),
        ("kind = ", "is not TOML: "),
    ],
)
def test_a_wrong_file_is_one_line_with_file_key_and_what_would_be_right(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(RunnerError) as error:
        load(written(tmp_path, text))
    assert str(error.value).startswith(f"{tmp_path / 'cluster.toml'}: ")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_yaml_says_the_same_as_toml_and_builds_no_objects(tmp_path: Path) -> None:
    yaml = written(tmp_path, "kind: slurm\nworkers: 4\nmemory: 2GiB\nwalltime: '01:00:00'\n", "cluster.yaml")
    assert load(yaml) == load(written(tmp_path, SLURM))
    evil = written(tmp_path, f"kind: !!python/object/apply:os.system ['touch {tmp_path}/pwned']\n", "evil.yaml")
    with pytest.raises(RunnerError, match="is not YAML"):
        load(evil)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: local\n2026-11-24: 2\n", "has a key that is not text"),
        ("kind: local\nworkers: &a [*a]\n", "is not YAML: its aliases stand for too much, or for themselves"),
    ],
)
def test_yaml_that_is_no_tree_of_named_values_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RunnerError, match=rf"cluster[.]yaml: {says}"):
        load(written(tmp_path, text, "cluster.yaml"))


def test_a_wrong_file_ends_a_run_with_status_2_before_anything_is_written(tmp_path: Path) -> None:
    file = written(tmp_path, 'kind = "local"\nworkers = -1')
    status, said = spinsweep("run", "endurance", "--cluster", file, cwd=tmp_path)
    assert status == 2
    assert said == (f"spinsweep: {file}: workers: input should be greater than or equal to 0 (-1 given)\n")
    assert list(tmp_path.iterdir()) == [file]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    where = load(written(tmp_path, SLURM + 'tls = "certificates"\nscratch = "/scratch"'))
    assert isinstance(where, Jobs)
    assert where.tls == tmp_path / "certificates"
    assert where.scratch == Path("/scratch")
    running = load(written(tmp_path, 'kind = "scheduler"\naddress = "here/cluster.json"'))
    assert running == Running(kind="scheduler", address=str(tmp_path / "here" / "cluster.json"))


def test_every_kind_has_an_example_that_is_right() -> None:
    found = [load(path) for path in sorted(CLUSTER.glob("*.toml"))]
    assert {type(where) for where in found} == {Local, Jobs, Ssh, Kubernetes, Gpu, Running}
    assert {where.kind for where in found} <= set(KINDS)


def test_what_cluster_takes_is_told_apart_by_its_form(tmp_path: Path) -> None:
    assert deployment(None, 3) == Local(workers=3)
    assert deployment("tcp://127.0.0.1:8786") == Running(kind="scheduler", address="tcp://127.0.0.1:8786")
    file = written(tmp_path, '{"address": "tls://127.0.0.1:9"}', "cluster.json")
    assert deployment(str(file)) == Running(kind="scheduler", address="tls://127.0.0.1:9")
    with pytest.raises(RunnerError, match=r"none\.json does not exist; `spinsweep scheduler --scheduler-file"):
        deployment(str(tmp_path / "none.json"))
    assert isinstance(deployment(str(written(tmp_path, SLURM))), Jobs)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.filterwarnings("ignore")
def test_job_scripts_of_every_batch_system_start_one_worker_that_computes_with_one_thread(
    tmp_path: Path, kind: str
) -> None:
    text = SLURM.replace("slurm", kind) + f'account = "physics"\nlogs = "{tmp_path}"\n[environment]\nA = "it\'s"\n'
    where = load(written(tmp_path, text))
    assert isinstance(where, Jobs)
    job_class = getattr(importlib.import_module("dask_jobqueue"), CLASSES[kind]).job_cls
    script = job_class("tcp://127.0.0.1:8786", name="w", **job_options(where)).job_script()
    assert "--nthreads 1" in script
    assert f"--resources cpu=1,memory={2 * 2**30} " in script
    assert "--dashboard-address 127.0.0.1:0" in script
    assert "export OMP_NUM_THREADS=1\n" in script
    assert "export A='it'\"'\"'s'\n" in script
    assert "physics" in script
    assert 'export DASK_TEMPORARY_DIRECTORY="$(mktemp -d)"\n' in script


@pytest.mark.parametrize(
    ("kind", "text", "seconds"),
    [
        ("slurm", "01:00:00", 3600),
        ("slurm", "1-12:00:00", 129_600),
        ("slurm", "30:00", 1800),
        ("lsf", "00:30", 1800),
        ("slurm", "1-12:30", 131_400),
    ],
)
def test_the_walltime_of_a_job_is_what_the_batch_system_takes_it_for(
    tmp_path: Path, kind: str, text: str, seconds: int
) -> None:
    where = load(written(tmp_path, SLURM.replace("slurm", kind).replace("01:00:00", text)))
    assert isinstance(where, Jobs)
    assert walltime_s(where) == seconds


def test_jobs_take_several_workers_lines_of_shell_and_a_name(tmp_path: Path) -> None:
    text = SLURM + f'processes = 4\nthreads = 2\nprologue = ["module load python"]\nlogs = "{tmp_path}"\n'
    where = load(written(tmp_path, text))
    assert isinstance(where, Jobs)
    job_class = importlib.import_module("dask_jobqueue").SLURMCluster.job_cls
    script = job_class("tcp://127.0.0.1:8786", name="w", **job_options(where, "co design-a b.zarr")).job_script()
    assert "#SBATCH -J spinsweep-co-design-a-b.zarr\n" in script
    assert "#SBATCH --cpus-per-task=8\n" in script
    assert "--nworkers 4" in script
    assert script.rindex("--nthreads 1") > script.index("--nthreads 2"), "the last one counts"
    assert "export OMP_NUM_THREADS=2\n" in script
    assert script.index("module load python") < script.index("export SPINSWEEP_JOB_ENDS=")
    assert "export SPINSWEEP_JOB_LASTS=3600\n" in script


def test_cells_and_blocks_that_do_not_fit_into_a_job_are_told_with_what_to_change(tmp_path: Path) -> None:
    where = load(written(tmp_path, SLURM.replace("01:00:00", "00:03:00")))
    assert walltime_advice(where, 1.0, 10) == ""
    assert walltime_advice(where, math.nan, 10) == ""
    assert "a cell takes about 5 min 0 s, and a job has 2 min 45 s to compute" in walltime_advice(where, 300.0, 1)
    assert timeout_advice(where, 60.0) == timeout_advice(where, None) == ""
    assert "a cell may take 5 min 0 s by its timeout, and a job has 2 min 45 s" in timeout_advice(where, 300.0)
    assert "a new store with --block 16, or a longer walltime" in walltime_advice(where, 1.0, 120)


def test_plan_counts_with_a_cluster_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, SLURM.replace("01:00:00", "00:00:10"))
    (tmp_path / "own.py").write_text(SLOW)
    words = ["plan", f"{tmp_path / 'own.py'}", "--cluster", str(file), "--store", str(tmp_path / "c.zarr")]
    assert main([*words, "--block", "50"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"on {where_workers(file)} workers" in out
    assert "walltime a block of 50 cells takes about" in out


def where_workers(file: Path) -> int:
    where = load(file)
    assert isinstance(where, Jobs)
    return where.workers


SLOW = """
import time
import spinsweep

@spinsweep.cell
def own(n):
    time.sleep(0.15)
    return {"y": 2.0 * n}

OWN = spinsweep.Sweep.from_function(own, n=range(100))
"""


def test_a_batch_system_that_is_not_here_is_said_in_one_line(tmp_path: Path) -> None:
    where = load(written(tmp_path, SLURM.replace("slurm", "pbs")))
    with pytest.raises(RunnerError, match="pbs: this machine has no command qsub"), cluster_client(where):
        pass


def test_a_library_that_is_not_installed_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    with pytest.raises(RunnerError, match=r"pip install 'spinsweep\[gpu\]'"), cluster_client(Gpu(kind="gpu")):
        pass

"""Cluster files that the command line writes: every key that they show is one that the kind takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spinsweep.cli import main
from spinsweep.cli.cluster import KINDS, TEMPLATES
from spinsweep.deployment import cluster_file

OPTION = re.compile(r"^# (?=\w+ = |\[\w+\])", re.M)
KIND = {"running": "scheduler"}


def printed(kind: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["cluster", "init", kind]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_a_cluster_file_is_printed_for_every_kind(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(printed(kind, capsys))
    described = cluster_file.load(path)
    assert described.kind == KIND.get(kind, kind)
    assert bool(described.untried) == path.read_text().startswith("# Not tried yet on a real one: ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_that_is_commented_out_is_one_that_the_kind_takes(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(kind, capsys)
    path = tmp_path / "cluster.toml"
    path.write_text(OPTION.sub("", text))
    described = cluster_file.load(path)
    shown = set(re.findall(r"^(?:# )?\[?(\w+)(?: = |\])", text, re.M)) - {"SPINSWEEP_CACHE"}
    assert shown <= set(type(described).model_fields)
    assert {n for n, f in type(described).model_fields.items() if f.is_required()} <= shown


def test_a_kind_that_does_not_exist_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "init", "slrum"]) == 2
    told = capsys.readouterr().err
    assert "no kind of cluster 'slrum' (did you mean 'slurm'?)" in told
    assert told.count("\n") == 1


def test_the_folder_of_files_is_whole_and_is_never_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["cluster", "files", "new"]) == 0
    made = {str(p.relative_to("new")) for p in Path("new").rglob("*") if p.is_file()}
    assert {"slurm.toml", "spinsweep.sbatch", "spinsweep-lane@.service", "kubernetes/cluster.yaml"} <= made
    assert cluster_file.load(Path("new/kubernetes.toml")).manifest.is_file()
    assert main(["cluster", "files", "new"]) == 2
    assert "new exists" in capsys.readouterr().err


def test_the_folder_cluster_links_to_every_template() -> None:
    linked = Path(__file__).parents[2] / "cluster"
    for template in Path(str(TEMPLATES)).iterdir():
        assert (linked / template.name).resolve() == template.resolve()

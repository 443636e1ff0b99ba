"""The files in ``cluster/`` that other programs read, checked by those programs or their schemas."""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from spinsweep.deployment.check import Access, dask_cluster
from spinsweep.deployment.clients import cluster_client
from spinsweep.deployment.cluster_file import Kubernetes, load
from spinsweep.errors import RunnerError

CLUSTER = Path(__file__).parents[2] / "cluster"
MANIFESTS = sorted((CLUSTER / "kubernetes").glob("*.yaml"))
CHART = files("dask_kubernetes").joinpath("operator/deployment/helm/dask-kubernetes-operator")


def documents(path: Path) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all(path.read_text()) if d is not None]


OBJECTS = [
    pytest.param(d, id=f"{p.name}:{d['kind']}:{d['metadata']['name']}")
    for p in MANIFESTS
    for d in documents(p)
    if "kind" in d
]


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with no fields but those it names, as ``kubectl --validate=strict`` has it."""
    found = copy.deepcopy(schema)
    if "properties" in found:
        found.setdefault("additionalProperties", bool(found.get("x-kubernetes-preserve-unknown-fields")))
        found["properties"] = {name: strict(part) for name, part in found["properties"].items()}
    if isinstance(found.get("items"), dict):
        found["items"] = strict(found["items"])
    if found.pop("x-kubernetes-int-or-string", False):
        found["type"] = ["integer", "string"]
    return found


def operator_schema(kind: str) -> dict[str, Any]:
    """That of the operator's own custom resource, with what every Kubernetes object has."""
    with as_file(CHART.joinpath(f"crds/{kind.lower()}.yaml")) as path:
        [definition] = documents(path)
    [version] = [v for v in definition["spec"]["versions"] if v["name"] == "v1"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": {"const": "kubernetes.dask.org/v1"}, "kind": {"const": kind}}
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return schema


def check(document: dict[str, Any]) -> None:
    if document["apiVersion"].startswith("kubernetes.dask.org/"):
        jsonschema.Draft202012Validator(operator_schema(document["kind"])).validate(document)
    else:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("document", OBJECTS)
def test_every_kubernetes_object_fits_its_schema(document: dict[str, Any]) -> None:
    check(document)


@pytest.mark.parametrize("document", OBJECTS)
def test_a_misspelt_field_does_not_fit(document: dict[str, Any]) -> None:
    wrong = copy.deepcopy(document)
    wrong.get("spec", wrong)["replicsa"] = 1
    with pytest.raises(jsonschema.ValidationError, match="replicsa"):
        check(wrong)


def clusters() -> Iterator[dict[str, Any]]:
    yield from (d for p in MANIFESTS for d in documents(p) if d.get("kind") == "DaskCluster")


def test_pods_compute_with_one_thread_and_offer_one_cpu_and_the_service_finds_the_scheduler() -> None:
    found = list(clusters())
    assert len(found) == 2
    for cluster in found:
        worker = cluster["spec"]["worker"]["spec"]["containers"][0]
        words = worker["args"]
        assert words[:2] == ["dask", "worker"]  # the operator's default, dask-worker, is gone from Dask
        assert words[words.index("--resources") + 1] == f"cpu=1,memory={4 * 2**30}"
        assert worker["resources"]["limits"]["memory"] == "4Gi"
        assert words[words.index("--nthreads") + 1] == "1"
        assert words[words.index("--name") + 1] == "$(DASK_WORKER_NAME)"
        assert {e["value"] for e in worker["env"] if e["name"].endswith("_NUM_THREADS")} == {"1"}
        assert cluster["spec"]["scheduler"]["service"]["selector"] == {
            "dask.org/cluster-name": cluster["metadata"]["name"],
            "dask.org/component": "scheduler",
        }


def test_pods_see_the_cubes_and_get_no_token_of_the_api_server() -> None:
    for cluster in clusters():
        for part in ("scheduler", "worker"):
            pod = cluster["spec"][part]["spec"]
            assert pod["automountServiceAccountToken"] is False
            assert {"name": "results", "mountPath": "/results"} in pod["containers"][0]["volumeMounts"]


def test_an_image_is_made_of_what_there_is() -> None:
    text = (CLUSTER / "Dockerfile").read_text()
    copied = [word for line in text.splitlines() if line.startswith("COPY") for word in line.split()[1:-1]]
    assert copied == ["pyproject.toml", "README.md", "LICENSE", "engine", "sweeps", "constraints.txt"]
    assert all((CLUSTER.parent / name).exists() for name in copied)
    assert "pip wheel --no-cache-dir --no-deps" in text, "as tests/test_wheel.py builds it"


def test_scheduler_and_workers_with_certificates_take_nothing_else() -> None:
    [cluster] = [c for c in clusters() if c["metadata"]["name"] == "spinsweep-tls"]
    for part in ("scheduler", "worker"):
        container = cluster["spec"][part]["spec"]["containers"][0]
        assert f"/tls/{part}.pem" in container["args"]
        assert f"/tls/{part}-key.pem" in container["args"]
        assert any(word.startswith("tls://") for word in container["args"])


def test_the_operators_values_are_ones_that_its_chart_has() -> None:
    [ours] = documents(CLUSTER / "kubernetes" / "operator-values.yaml")
    with as_file(CHART.joinpath("values.yaml")) as path:
        [chart] = documents(path)

    def known(given: dict[str, Any], place: dict[str, Any]) -> None:
        for name, value in given.items():
            assert name in place, f"the chart has no {name}"
            assert isinstance(value, type(place[name]))
            if isinstance(value, dict) and place[name]:
                known(value, place[name])

    known(ours, chart)


def test_the_manifest_gets_the_number_of_workers_of_the_cluster_file() -> None:
    where = load(CLUSTER / "kubernetes.toml")
    assert isinstance(where, Kubernetes)
    made = dask_cluster(where)
    assert made["spec"]["worker"]["replicas"] == 2 == where.minimum
    check(made)


def test_a_cluster_without_certificates_in_kubernetes_has_to_be_asked_for() -> None:
    where = load(CLUSTER / "kubernetes.toml")
    with pytest.raises(RunnerError, match="spell out --insecure"), cluster_client(where):
        pass


def test_a_kubernetes_that_is_not_there_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    where = load(CLUSTER / "kubernetes.toml")
    refused = pytest.raises(RunnerError, match="kubernetes: the cluster did not start: ")
    with refused as error, cluster_client(where, Access(insecure=True)):
        pass
    assert "\n" not in str(error.value)


def test_a_manifest_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("kind: Pod\nspec: {worker: {}}\n")
    where = Kubernetes(kind="kubernetes", manifest=tmp_path / "pod.yaml", workers=1)
    with pytest.raises(RunnerError, match="is a Pod; give one DaskCluster in YAML"):
        dask_cluster(where)


def test_the_lanes_service_leaves_its_watchdog_alive_and_sees_the_machines_locks(tmp_path: Path) -> None:
    text = (CLUSTER / "spinsweep-lane@.service").read_text()
    lines = text.splitlines()
    assert "KillMode=process" in lines, "else systemd kills the watchdog that makes the bench safe"
    assert not [line for line in lines if line.startswith("PrivateNetwork")], "locks are the network namespace's"
    assert "--bench /etc/spinsweep/%i.toml" in text
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        unit = tmp_path / "spinsweep-lane@hall.service"
        unit.write_text(text.replace("/opt/spinsweep/bin/spinsweep", "/bin/true"))
        done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_batch_script_is_right_shell() -> None:
    done = subprocess.run(
        ["bash", "-n", str(CLUSTER / "spinsweep.sbatch")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

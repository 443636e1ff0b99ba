"""The Grafana board asks for what ``/metrics`` serves during a real run."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from distributed import Client
from prometheus_client.parser import text_string_to_metric_families
from watched import WATCHED, running, until

BOARD = json.loads(files("spinsweep.deployment").joinpath("templates/grafana.json").read_text())
OF_BENCHES = {"spinsweep_lane_cycles": {"bench"}, "spinsweep_lane_pulses": {"bench"}}
"""Served where a lane reports."""
SELECTED = re.compile(r"\b((?:spinsweep|dask)_\w+)(?:{([^}]*)})?")


def expressions() -> Iterator[tuple[str, str]]:
    """Each query of the board, with its legend."""
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"], ""


def served(client: Client) -> dict[str, dict[str, set[str]]]:
    """The values of each label of each metric."""
    with urlopen(client.dashboard_link.replace("/status", "/metrics"), timeout=60) as answer:
        text = answer.read().decode()
    found: dict[str, Any] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for label, value in sample.labels.items():
                found[sample.name][label].add(value)
    return found


def test_each_metric_and_label_of_the_board_is_served_while_a_run_goes_on(tmp_path: Path, client: Client) -> None:
    gate = tmp_path / "gate"
    gate.write_text("0.004")
    with running(WATCHED.with_values(gate=str(gate)), tmp_path / "c.zarr", client, block=4):
        try:
            metrics = until(lambda: (m := served(client))["spinsweep_left_seconds"] and m)
        finally:
            gate.write_text("")

    used = set()
    for expression, legend in expressions():
        names = SELECTED.findall(expression)
        assert names, expression
        labels = set(re.findall(r"{{(\w+)}}", legend))
        labels |= {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")}
        labels |= set(re.findall(r"label_values\(.*, (\w+)\)", expression))
        for name, selector in names:
            used.add(name)
            has = metrics[name] or {label: set() for label in OF_BENCHES.get(name, ())}
            matchers = dict(re.findall(r'(\w+)=~?"([^"]*)"', selector))
            assert labels | matchers.keys() <= has.keys(), expression
            for label, value in matchers.items():
                assert value == f"${label}" or value in has[label], expression
    of_runs = {name for name in metrics if name.startswith("spinsweep_") and "run" in metrics[name]}
    assert of_runs <= used, "a metric of the runs is on no panel"


def test_the_variables_of_the_board_are_the_labels_of_a_run() -> None:
    names = [variable["name"] for variable in BOARD["templating"]["list"]]
    assert names == ["datasource", "sweep", "store", "run"]
    for panel in BOARD["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"

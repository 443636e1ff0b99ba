"""The address of the Sweep page is told once the page answers."""

from __future__ import annotations

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from distributed import Client

from spinsweep.cli.page_answer import tell_when_it_answers, why_not
from spinsweep.dashboard.plugin import SweepPlugin


class Page(BaseHTTPRequestHandler):
    """Answers as Bokeh does at a page that it has."""

    def do_HEAD(self) -> None:
        self.send_error(405)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_a_page_that_begins_to_answer_later_is_told_then(port: int) -> None:
    told: queue.Queue[str] = queue.Queue()
    page = f"http://127.0.0.1:{port}/sweep"
    tell_when_it_answers(page, " (seen)", told.put)
    with pytest.raises(queue.Empty):
        told.get(timeout=0.5)

    with ThreadingHTTPServer(("127.0.0.1", port), Page) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            assert told.get(timeout=60) == f"dashboard {page} (seen)"
        finally:
            server.shutdown()
            serving.join()


def test_a_page_that_never_answers_is_told_with_the_reason(port: int) -> None:
    told: queue.Queue[str] = queue.Queue()
    tell_when_it_answers(f"http://127.0.0.1:{port}/sweep", "", told.put, patience_s=0.3)
    said = told.get(timeout=60)
    assert said.startswith("the dashboard does not answer (")
    assert said.endswith(f"at http://127.0.0.1:{port}/sweep")


def test_a_dashboard_without_the_page_is_told_apart_from_one_with_it(client: Client) -> None:
    client.register_plugin(SweepPlugin())
    page = client.dashboard_link.replace("/status", "/sweep")
    assert why_not(page) == ""
    assert why_not(page.replace("/sweep", "/no-such-page")) == "HTTP 404"

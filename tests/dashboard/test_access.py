"""Who is answered by the dashboard and the watchers' page: by real HTTP, and from another site in a real browser."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser import words
from distributed import Client
from selenium.webdriver import Chrome
from watched import until

from spinsweep.dashboard.access import Pages, RestrictedScheduler
from spinsweep.dashboard.plugin import SweepPlugin
from spinsweep.dashboard.reports import serve_watchers
from spinsweep.errors import RunnerError

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
}
ROUTES = ("/status", "/sweep", "/metrics", "/health", "/json/counts.json", "/info/main/workers.html")
SOCKETS = ("/status/ws", "/sweep/ws", "/eventstream")
OF_WATCHERS = ("/sweep", "/metrics", "/health", "/sweep/ws")


def requested(port: int, path: str, **headers: str) -> int:
    """The status of an answer; of a websocket's too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        more = UPGRADE if path in SOCKETS else {}
        connection.request("GET", path, headers={"Host": f"127.0.0.1:{port}", **more, **named})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(params=["dashboard", "watchers"])
def served(request: pytest.FixtureRequest, client: Client, port: int) -> tuple[int, tuple[str, ...]]:
    """A port, and what is there."""
    client.register_plugin(SweepPlugin())
    if request.param == "watchers":
        serve_watchers(client, port)
        return port, OF_WATCHERS
    return int(urlsplit(client.dashboard_link).port or 0), (*ROUTES, *SOCKETS)


FOREIGN = (
    {"Host": "rebound.example"},
    {"Host": "rebound.example:{port}", "Origin": "http://rebound.example:{port}"},
    {"Host": "127.0.0.1.rebound.example"},
    {"Host": "0.0.0.0:{port}"},
    {"Host": "192.0.2.7:{port}"},
    {"Host": "localhost:{port}, rebound.example"},
    {"Host": "localhost@rebound.example:{port}"},
    {"Origin": "http://other.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},
    {"Origin": "null"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"},
    {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
)
ALLOWED = (
    {},
    {"Host": "localhost:9999", "Origin": "http://localhost:9999"},  # through a tunnel
    {"Host": "127.0.0.1:9999", "Origin": "http://127.0.0.1:9999"},
    {"Host": "[::1]:9999", "Origin": "http://[::1]:9999"},
    {"Host": "LOCALHOST", "Origin": "http://localhost"},
    {"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},  # a link
)


def with_port(headers: dict[str, str], port: int) -> dict[str, str]:
    return {name: value.replace("{port}", str(port)) for name, value in headers.items()}


def test_no_route_answers_another_site_or_another_name(served: tuple[int, tuple[str, ...]]) -> None:
    port, routes = served
    answers = {(r, str(h)): requested(port, r, **with_port(h, port)) for r in routes for h in FOREIGN}
    assert {what: status for what, status in answers.items() if status not in (400, 403)} == {}  # 400: no host


def test_every_route_answers_at_this_machines_own_names_with_any_port(served: tuple[int, tuple[str, ...]]) -> None:
    port, routes = served
    assert {route: requested(port, route) for route in routes if route not in SOCKETS} == dict.fromkeys(
        (route for route in routes if route not in SOCKETS), 200
    )
    for headers in ALLOWED:
        assert requested(port, "/health", **headers) == 200
    for headers in ALLOWED[:-1]:  # a socket is no link
        assert requested(port, "/sweep/ws", **headers) not in (403, 404), headers


def test_no_site_gets_a_session_by_a_script(served: tuple[int, tuple[str, ...]]) -> None:
    port, _ = served
    assert requested(port, "/sweep/autoload.js?bokeh-autoload-element=1") == 404


def test_a_name_that_the_user_allowed_is_answered_and_no_other(client: Client, port: int) -> None:
    serve_watchers(client, port, Pages(hosts=("Watch.example",)))
    assert requested(port, "/sweep", Host="watch.example", Origin="https://watch.example") == 200
    assert requested(port, "/sweep", Host="watch.example", Origin="https://other.example") == 403
    assert requested(port, "/sweep", Host="other.example") == 403


def test_with_a_token_nothing_is_answered_to_those_who_do_not_have_it(port: int) -> None:
    async def look() -> None:
        pages = Pages(token="a-secret")
        where = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
        async with RestrictedScheduler(**where, pages=pages) as scheduler:
            plugin = SweepPlugin()
            await scheduler.register_scheduler_plugin(plugin, idempotent=True)
            assert plugin.watchers(port, token=pages.token) == f"http://127.0.0.1:{port}/a-secret/sweep"
            for number, routes in ((scheduler.http_server.port, (*ROUTES, *SOCKETS)), (port, OF_WATCHERS)):
                for route in (
                    *routes,
                    "/",
                    "/sitemap.json",
                    "/a-secre/sweep",
                    "/a-secrets/sweep",
                    "//a-secret/sweep",
                ):
                    assert await asyncio.to_thread(requested, number, route) == 404, route
                for route in routes:
                    status = await asyncio.to_thread(requested, number, f"/a-secret{route}")
                    assert status in ({200} if route not in SOCKETS else {400, 426}), route

    asyncio.run(look())


def test_a_port_that_is_served_without_a_token_is_not_taken_for_one_with(client: Client, port: int) -> None:
    serve_watchers(client, port)
    with pytest.raises(RunnerError, match="an earlier run had it served without a token"):
        serve_watchers(client, port, Pages(token="a-secret"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Another site of this machine, and its folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


EVIL = """<title>begun</title><script>
const told = {}, at = "127.0.0.1:PORT/sweep";
const tell = (what, how) => {
  told[what] = how;
  if (Object.keys(told).length == 4) document.title = JSON.stringify(told);
};
fetch("http://" + at).then(r => r.text()).then(t => tell("fetch", "in"), e => tell("fetch", "out"));
const script = document.createElement("script");
script.src = "http://" + at + "/autoload.js?bokeh-autoload-element=x";
script.onload = () => tell("script", "in"); script.onerror = () => tell("script", "out");
document.head.append(script);
const image = new Image();
image.src = "http://127.0.0.1:PORT/statics/images/favicon.ico";
image.onload = () => tell("image", "in"); image.onerror = () => tell("image", "out");
const socket = new WebSocket("ws://" + at + "/ws", ["bokeh", "token"]);
socket.onopen = () => tell("socket", "in"); socket.onerror = () => tell("socket", "out");
</script>"""


@pytest.mark.browser
def test_another_site_in_a_browser_gets_neither_page_nor_script_nor_socket(
    client: Client, site: tuple[str, Path], window: Chrome
) -> None:
    client.register_plugin(SweepPlugin())
    port = int(urlsplit(client.dashboard_link).port or 0)
    address, folder = site
    (folder / "evil.html").write_text(EVIL.replace("PORT", str(port)))
    window.get(f"{address}/evil.html")
    title = until(lambda: window.title != "begun" and window.title)
    assert json.loads(title) == dict.fromkeys(("fetch", "script", "image", "socket"), "out")
    window.get(f"http://localhost:{port}/sweep")  # the same window may go there itself
    until(lambda: words(window))

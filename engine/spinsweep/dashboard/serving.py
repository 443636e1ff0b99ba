"""Where browsers find the Sweep page: a tab of the Dask dashboard, and ports for people who only watch."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distributed.dashboard.components.scheduler import BOKEH_THEME, env
from distributed.dashboard.core import BokehApplication
from distributed.dashboard.scheduler import template_variables
from distributed.http.routing import RoutingApplication
from distributed.http.utils import get_handlers
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import ErrorHandler

from spinsweep.dashboard import html
from spinsweep.dashboard.access import AccessRouter, Pages, dashboard_of, pages_of
from spinsweep.dashboard.kiosk import TEMPLATE, KioskPage
from spinsweep.dashboard.monitor import SweepMonitor
from spinsweep.dashboard.page import SweepPage
from spinsweep.dashboard.reader import Reader
from spinsweep.dashboard.stopping import StopOutcome
from spinsweep.dashboard.widgets import text_box

TAB = "sweep"
MAX_WINDOWS = 20  # at a time: Bokeh keeps each up to date, at the scheduler's cost
WATCHERS_MODULES = ("statics", "scheduler.prometheus", "health")  # of Dask's HTTP server


class PageServer:
    """The windows of one scheduler, and the servers that open them."""

    def __init__(self, monitor: SweepMonitor) -> None:
        self.monitor = monitor
        self.windows: set[SweepPage] = set()
        """Those that are open."""
        self._reader = Reader()
        self._outcomes: dict[str, StopOutcome] = {}
        self._servers: dict[int, tuple[HTTPServer, Pages]] = {}

    def add_tab(self) -> None:
        """Add the page to the scheduler's dashboard."""
        scheduler = self.monitor.scheduler
        variables = template_variables(scheduler)
        if TAB not in variables["pages"]:
            variables["pages"].insert(0, TAB)  # every page of the dashboard shares this list
        application = self._application(variables, dashboard_of(scheduler).prefix, self._is_secret)
        scheduler.http_application.add_application(application)

    def serve(self, port: int, pages: Pages) -> str:
        """Serve the page, ``/metrics`` and ``/health`` alone, on a loopback port; the page's address.

        A port that is served already stays as it is.

        Raises
        ------
        OSError
            The port is taken.
        ValueError
            It is served already, without the token that is asked for.
        """
        if port not in self._servers:
            self._servers[port] = self._start(port, pages), pages
        _, served = self._servers[port]
        if pages.token and not served.token:
            raise ValueError("an earlier run had it served without a token")
        return f"http://127.0.0.1:{port}{served.prefix}/{TAB}"

    def close(self) -> None:
        """Stop serving ports, and end the reading process."""
        self._reader.close()
        for server, _ in self._servers.values():
            server.stop()

    def _start(self, port: int, pages: Pages) -> HTTPServer:
        listening = socket.create_server(("127.0.0.1", port))
        listening.setblocking(False)
        modules = [f"distributed.http.{name}" for name in WATCHERS_MODULES]
        handlers = get_handlers(self.monitor.scheduler, modules, pages.prefix)
        application = _WatchersApplication(handlers)  # type: ignore[no-untyped-call]
        variables = {"pages": [TAB], "plots": [], "jupyter": False}
        application.add_application(self._application(variables, pages.prefix, lambda: False))
        server = HTTPServer(AccessRouter(application, pages))
        server.add_socket(listening)
        return server

    def _is_secret(self) -> bool:
        """Whether only who was told the dashboard's address can open it, and so may stop a lane."""
        return bool(pages_of(self.monitor.scheduler).token)

    def _application(self, variables: Mapping[str, Any], prefix: str, may_stop: Callable[[], bool]) -> Any:
        def open_page(scheduler: Any, extra: Mapping[str, Any], doc: Any) -> None:
            kiosk = _is_kiosk(doc.session_context.request.arguments)
            if len(self.windows) < MAX_WINDOWS:
                kind, may = (KioskPage, False) if kiosk else (SweepPage, may_stop())
                window = kind(self.monitor, self._reader, doc, self._outcomes, may_stop=may)
                self.windows.add(window)
                doc.on_session_destroyed(lambda context: self._closed(window))
            else:
                doc.add_root(text_box(html.full(MAX_WINDOWS)))
            doc.title = "spinsweep"
            doc.template = TEMPLATE if kiosk else env.get_template("simple.html")
            doc.template_variables.update(extra)
            doc.theme = BOKEH_THEME

        application = BokehApplication({f"/{TAB}": open_page}, self.monitor.scheduler, prefix, variables)
        application.initialize(IOLoop.current())
        application.start()
        return application

    def _closed(self, window: SweepPage) -> None:
        self.windows.discard(window)
        if not self.windows:
            self._reader.close()


def _is_kiosk(arguments: Mapping[str, Sequence[bytes]]) -> bool:
    """Whether the address of a page ends with ``?kiosk=1``."""
    return arguments.get("kiosk", [b""])[-1] not in (b"", b"0")


class _WatchersApplication(RoutingApplication):
    """Routes of a port for watchers, without Dask's list of them."""

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        """The handler of a request."""
        if request.path == "/sitemap.json":  # every application of Dask's has it
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 404})
        return super().find_handler(request, **more)

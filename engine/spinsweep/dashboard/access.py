"""Who may open the web pages of a scheduler: browsers at an address of this machine, from no other site.

Dask's pages know no users, and Bokeh's take whoever asks: ``autoload.js`` hands out a session to any site, and the
websocket accepts any origin.  So one router stands before all routes of a web server.  It looks at

- ``Host``: this machine's loopback, or a name that the user allowed; it refuses a foreign name that points to this
  machine,
- ``Origin`` and ``Sec-Fetch-Site``: pages of other sites may link to these pages, but not read, run or embed them,
- the first part of the path, which is a secret where the user asked for one: it keeps other users of the machine out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from distributed import Scheduler
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application, ErrorHandler

VISIBLE_TO_ALL = "every user of this machine can see the dashboard; --dashboard-token makes its address a secret"


@dataclass(frozen=True)
class Pages:
    """How the pages of a scheduler are served."""

    hosts: tuple[str, ...] = ()
    """Names, beside this machine's loopback, that browsers may use, such as that of a reverse proxy."""
    token: str = ""
    """The first part of every path; empty: every user of the machine sees the pages."""

    @property
    def prefix(self) -> str:
        """The start of every path."""
        return f"/{self.token}" if self.token else ""

    @property
    def of_watchers(self) -> Pages:
        """The same for people who only watch: another secret, from which nobody finds that of the dashboard."""
        digest = hashlib.sha256(f"watchers of {self.token}".encode()).digest()
        return replace(self, token=base64.urlsafe_b64encode(digest[:24]).decode() if self.token else "")


OPEN = Pages()


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(24)


class AccessRouter(Router):
    """Refuses requests before they reach an application's routes."""

    def __init__(self, application: Application, pages: Pages) -> None:
        self.application = application
        self.pages = pages

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        """The application's handler, or one that refuses."""
        if status := refusal(request, self.pages):
            return self.application.get_handler_delegate(request, ErrorHandler, {"status_code": status})
        return self.application.find_handler(request, **more)


def refusal(request: HTTPServerRequest, pages: Pages) -> int:
    """The status with which a request is refused, or 0."""
    if not _is_allowed(request.host, pages):
        return 403
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        return 403
    site, *purpose = (request.headers.get(f"Sec-Fetch-{name}", "") for name in ("Site", "Mode", "Dest"))
    if site not in ("", "none", "same-origin") and purpose != ["navigate", "document"]:
        return 403  # another site may link to a page; it gets no script, image or frame
    if request.path.endswith("/autoload.js"):  # Bokeh's for other sites, and holds a session
        return 404
    if pages.token and not hmac.compare_digest(f"{request.path}/".split("/")[1].encode(), pages.token.encode()):
        return 404
    return 0


def _is_allowed(host: str, pages: Pages) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name in (h.lower() for h in pages.hosts):
            return True
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def restrict(server: HTTPServer, pages: Pages) -> None:
    """Put the router before a web server's application, in place of an earlier one."""
    inner: Any = server.request_callback
    server.request_callback = AccessRouter(inner.application if isinstance(inner, AccessRouter) else inner, pages)


class RestrictedScheduler(Scheduler):
    """A scheduler whose pages are restricted from the moment that it serves them."""

    def __init__(self, *args: Any, pages: Pages = OPEN, **options: Any) -> None:
        super().__init__(*args, http_prefix=pages.prefix or "/", **options)
        self.pages = pages
        restrict(self.http_server, pages)

    def identity(self, *args: Any, **options: Any) -> dict[str, Any]:
        """What it says of itself: the same as Dask's."""
        return {**super().identity(*args, **options), "type": Scheduler.__name__}


def restrict_scheduler(pages: Pages, dask_scheduler: Any) -> None:
    """Restrict the pages of a scheduler that already runs; its clients call this there."""
    dask_scheduler.pages = pages
    restrict(dask_scheduler.http_server, pages)


def pages_of(dask_scheduler: Any) -> Pages:
    """How a scheduler serves its pages; its clients call this there."""
    pages = getattr(dask_scheduler, "pages", None)
    return pages if isinstance(pages, Pages) else OPEN


def dashboard_of(dask_scheduler: Any) -> Any:
    """The web application with Dask's own pages; None where the scheduler has none."""
    applications = dask_scheduler.http_application.applications
    return next((a for a in applications if hasattr(a, "app_paths")), None)

"""Tells the address of the Sweep page once the page answers; asks in a thread, so that the run need not wait."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

PATIENCE_S = 30.0  # for which the page is asked
ASK_EVERY_S = 0.2
ANSWER_S = 5.0  # that one answer may take


def tell_when_it_answers(page: str, seen: str, tell: Callable[[str], None], patience_s: float = PATIENCE_S) -> None:
    """Call ``tell`` once with a line about the page, from another thread.

    Parameters
    ----------
    page : its address, on this machine
    seen : what follows the address in the line
    patience_s : after which the line says that the page does not answer, s
    """
    threading.Thread(target=_ask, args=(page, seen, tell, patience_s), name="page-answer", daemon=True).start()


def _ask(page: str, seen: str, tell: Callable[[str], None], patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while (problem := why_not(page)) and time.monotonic() < until:
        time.sleep(ASK_EVERY_S)
    tell(f"the dashboard does not answer ({problem}) at {page}" if problem else f"dashboard {page}{seen}")


def why_not(page: str) -> str:
    """Why a page does not answer, in a few words; empty if it does.

    It is asked with HEAD: Bokeh would make a session for a GET, and draw for it. Bokeh does not take HEAD at a page
    that it has (405), and does not find one that it lacks (404).
    """
    address = urlsplit(page)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=ANSWER_S)
    try:
        connection.request("HEAD", address.path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if status in (200, 405) else f"HTTP {status}"

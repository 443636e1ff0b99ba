"""An S3 server on loopback, as a process: moto's, which keeps everything in its memory.

``python s3_server.py [--deaf]`` prints its port; ``--deaf``: it does not hear ``If-None-Match``, as some do not.
"""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.request import Request, urlopen

import pytest
import s3fs
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET = "cubes"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


@contextmanager
def serving(*options: str) -> Iterator[dict[str, str]]:
    """The server, and one bucket in it, while the block runs; yields the environment that leads to it."""
    command = [sys.executable, __file__, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{process.stdout.readline().strip()}",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        try:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in environment.items():
                    patch.setenv(name, value)
                s3fs.S3FileSystem.clear_instance_cache()  # those that were made without credentials
                urlopen(Request(f"{environment['AWS_ENDPOINT_URL']}/{BUCKET}", method="PUT")).close()
                yield environment
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # zarr does not close the connections that it opened
                s3fs.S3FileSystem.clear_instance_cache()  # they know this server only
                gc.collect()
            process.kill()


def one_by_one(application: Application) -> Application:
    """The application serving one request at a time: moto looks and puts in two steps, which S3 does in one.

    A request is read to its end before its turn, for its client may be stopped in the middle of it.
    """
    lock = threading.Lock()

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        whole = environ.get("wsgi.input_terminated")
        environ["wsgi.input"] = BytesIO(body.read() if whole else body.read(int(environ.get("CONTENT_LENGTH") or 0)))
        with lock:
            return list(application(environ, start_response))

    return call


def cutting(application: Application) -> Application:
    """The application without the last byte of an object whose name ends in ``cut-short``."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith("cut-short"):
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))[:-1]
            environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return application(environ, start_response)

    return call


def deaf(application: Application) -> Application:
    """The application without the header that makes a put conditional."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.pop("HTTP_IF_NONE_MATCH", None)
        return application(environ, start_response)

    return call


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = one_by_one(cutting(DomainDispatcherApplication(create_backend_app)))
    server = make_server("127.0.0.1", 0, deaf(moto) if "--deaf" in sys.argv else moto, threaded=True)
    print(server.port, flush=True)
    server.serve_forever()

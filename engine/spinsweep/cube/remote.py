"""Object storage as the storage of a cube: Amazon S3 and what speaks like it, Google Cloud Storage, Azure, by fsspec.

Credentials and endpoint are not ours: they come from the environment (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``,
...) or from fsspec's configuration, on every machine that works on the cube.

A put of an object is whole or not at all, and is seen by everybody as soon as it has ended; so are listings. On S3
an object above 100 MB goes up in parts, and a kill meanwhile leaves parts that a bucket's lifecycle rule should
remove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import fsspec

from spinsweep.cube.lease_write_guard import driver_lease, hold_driver_lock
from spinsweep.cube.storage import ObjectStorage
from spinsweep.errors import CubeError

MAX_REQUESTS = 16
"""At a time, in each process."""
S3 = {"max_concurrency": 1, "use_listings_cache": False}  # else s3fs asks for an object's size before it reads it
OPTIONS: dict[str, dict[str, Any]] = {"s3": S3, "s3a": S3}
INSTALL = {
    **dict.fromkeys(("s3", "s3a"), 's3fs: pip install "spinsweep[s3]"'),
    **dict.fromkeys(("gs", "gcs"), "gcsfs: pip install gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs: pip install adlfs"),
    "memory": "fsspec: pip install fsspec",
}
"""Protocols that can create an object only if it is not there, and what reaches them."""


class RemoteStorage(ObjectStorage):
    """The objects under ``root`` of a file system of fsspec; users call it ``url``."""

    _pool: ClassVar = ThreadPoolExecutor(MAX_REQUESTS, "objects")

    def __init__(self, system: Any, root: str, url: str, check: Callable[[], None] = lambda: None) -> None:
        self._system = system
        self._root = root
        self._url = url
        self._check = check

    @classmethod
    def from_url(cls, url: str) -> RemoteStorage:
        """The storage at a URL; see :func:`spinsweep.cube.stores.open_storage`."""
        protocol = url.partition("://")[0]
        if protocol not in INSTALL:
            raise CubeError(
                f"{url}: a store is a folder, or objects at s3://, gs:// or az://; {protocol}:// cannot create an "
                "object only if it is not there, which keeps two runs apart"
            )
        try:
            system, root = fsspec.url_to_fs(url, **OPTIONS.get(protocol, {}))
        except ImportError:
            raise CubeError(f"{url} needs {INSTALL[protocol]}") from None
        except Exception as error:
            raise CubeError(f"{url} cannot be reached: {_one_line(error)}") from None
        root = root.rstrip("/")
        if not root:
            raise CubeError(f"{url} names no bucket; a store is such as {protocol}://BUCKET/walk.zarr")
        return cls(system, root, url.rstrip("/"))

    def __str__(self) -> str:
        return self._url

    def __truediv__(self, name: str) -> RemoteStorage:
        return RemoteStorage(self._system, f"{self._root}/{name}", f"{self._url}/{name}", self._check)

    def checked(self, check: Callable[[], None]) -> RemoteStorage:
        return RemoteStorage(self._system, self._root, self._url, check)

    def read(self, name: str) -> bytes | None:
        with self._one_line(name, "read"), suppress(FileNotFoundError):
            data: bytes = self._system.cat_file(self._path(name))
            return data
        return None

    def read_all(self, names: Iterable[str]) -> Iterator[bytes | None]:
        return self._pool.map(self.read, names)

    def write(self, name: str, data: bytes, *, sync: bool = False) -> None:
        self._check()
        path = self._path(name)
        with self._one_line(name, "written"):
            self._system.pipe_file(path, data)
            self._system.invalidate_cache(path)
            kept = int(self._system.info(path)["size"])
        if kept != len(data):
            raise CubeError(f"{self}/{name}: the storage kept {kept} of {len(data)} bytes")

    def write_all(self, objects: Mapping[str, bytes], *, sync: bool = False) -> None:
        list(self._pool.map(self.write, *zip(*objects.items(), strict=True)))

    def commit(self, name: str, data: bytes) -> None:
        self.write(name, data)

    def sync(self) -> None:
        """Nothing: an object is safe when its put has ended."""

    def create(self, name: str, data: bytes) -> bool:
        with self._one_line(name, "written"):
            try:
                self._system.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return self.read(name) == data
            except Exception:  # S3 may answer two at a time with a conflict
                if (existing := self.read(name)) is None:
                    raise
                return existing == data
        return True

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        with self._one_line(name, "deleted"), suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))

    def exists(self, name: str) -> bool:
        return self.read(name) is not None

    def names(self, folder: str) -> list[str]:
        path, paths = self._path(folder), list[str]()
        with self._one_line(folder, "listed"), suppress(FileNotFoundError):
            self._system.invalidate_cache(path)
            paths = self._system.ls(path, detail=False)
        return [name.rstrip("/").rpartition("/")[2] for name in paths]

    def files(self, folder: str) -> Iterator[str]:
        return (name for name, _ in self._files(folder))

    def size(self) -> int:
        return sum(size for _, size in self._files(""))

    def sizes(self, folder: str, names: Iterable[str]) -> list[int]:
        sizes = dict(self._files(folder))
        return [sizes.get(name, 0) for name in names]

    def remove(self) -> None:
        self.delete("zarr.json")  # from here on it is no cube
        for name in list(self.files("")):
            if not name.startswith("cell_state/.driver/"):
                self.delete(name)

    @contextmanager
    def staging(self) -> Iterator[RemoteStorage]:
        """As of any storage; here the cube's root object, which is written last, makes the others a cube."""
        lease = driver_lease(self)
        if next(self.files(""), None) is not None and not (lease.storage.names("") or self.exists("zarr.json")):
            raise CubeError(f"{self} is not empty and not a cube; take another --store")
        lease.storage.write("begun", b"")  # stays, and tells ours from what others left here
        with hold_driver_lock(self, lease):
            if not self.exists("zarr.json"):
                leases = str(lease.storage).removeprefix(f"{self}/")
                for name in list(self.files("")):
                    if not name.startswith(leases):  # what a creation left that was killed
                        self.delete(name)
            yield self

    def _files(self, folder: str) -> Iterator[tuple[str, int]]:
        path, infos = self._path(folder), dict[str, Any]()
        with self._one_line(folder, "listed"), suppress(FileNotFoundError):
            self._system.invalidate_cache(path)
            infos = self._system.find(path, detail=True)
        for name, info in infos.items():
            yield name.removeprefix(f"{path}/"), int(info["size"])

    @contextmanager
    def _one_line(self, name: str, done: str) -> Iterator[None]:
        """Whatever a library of fsspec's raises about an object, as one line; ``done`` is what cannot be."""
        try:
            yield
        except CubeError:
            raise
        except Exception as error:
            raise CubeError(f"{self}/{name} cannot be {done}: {_one_line(error)}") from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

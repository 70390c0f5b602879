"""Downloads that go on where they were interrupted, and are checked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from autoseg.errors import DataError, Fault
from autoseg.stages.fetch.sources import RemoteFile
from autoseg.writing import telling_full_disk

CHUNK = 2**18  # what is lost at most where the connection breaks
TIMEOUT_SECONDS = 30
TRIES = 4
SECONDS_BETWEEN = 2.0  # doubled with every try
RANGE_NOT_SATISFIABLE = 416
OK = 200
KEPT = "what was downloaded is kept; the same command goes on from there"


def download(file: RemoteFile, folder: Path, on_bytes: Callable[[int], None] = lambda _: None) -> Path:
    """The file in the folder, with the content that its checksum names; one that is there and right is not downloaded again.

    Args:
        file: what to download.
        folder: where to; made where it does not exist.
        on_bytes: called with the bytes of the file that are here so far.

    Raises:
        DataError: the server is not reached or refuses, or the content is not what the checksum names.
        DiskFull: there is no room.
    """
    import requests

    found, part = folder / file.name, folder / f".{file.name}.part"
    if found.is_file() and _is_right(found, file):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with telling_full_disk(found):
        try:
            _Resuming(part, on_bytes)(file.url)
        except requests.HTTPError as error:
            raise DataError([Fault(file.name, f"the server answers {error}; {KEPT}")]) from error
        except requests.RequestException as error:
            raise DataError(
                [Fault(file.name, f"cannot be downloaded: {unreached(error, file.url)}. {KEPT.capitalize()}")]
            ) from error
        if not _is_right(part, file):
            part.unlink()
            told = f"is not what its checksum {file.checksum} names; it was removed: give the same command again"
            raise DataError([Fault(file.name, told)])
        os.replace(part, found)
    return found


def unreached(error: Exception, url: str) -> str:
    """Of a connection that failed, without the libraries' words: which server, and what to look at.

    Args:
        error: of requests, which may know the address that it failed at, and what was answered there.
        url: the address that was asked for.
    """
    address = getattr(getattr(error, "request", None), "url", None) or url
    host, answer = urlsplit(address).hostname or address, getattr(error, "response", None)
    if answer is not None:
        return f"{host} answers {answer.status_code}; it may do better later"
    return f"{host} cannot be reached; see whether you are online"


def _is_right(path: Path, file: RemoteFile) -> bool:
    import pooch

    algorithm, _, digits = file.checksum.partition(":")
    return str(pooch.file_hash(str(path), alg=algorithm)).casefold() == digits.casefold()


class _Resuming:
    """Asks for what is missing of a file, and tries again where the connection breaks."""

    def __init__(self, part: Path, on_bytes: Callable[[int], None]) -> None:
        self.part, self.on_bytes = part, on_bytes

    def __call__(self, url: str) -> None:
        import requests

        for attempt in range(TRIES):
            try:
                self._go_on(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == TRIES - 1:
                    raise
                time.sleep(SECONDS_BETWEEN * 2**attempt)

    def _go_on(self, url: str) -> None:
        import requests

        here = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={here}-"} if here else {}
        with requests.get(url, stream=True, headers=headers, timeout=TIMEOUT_SECONDS) as response:
            if here and response.status_code == RANGE_NOT_SATISFIABLE:  # it is whole; its checksum tells whether it is right
                return
            response.raise_for_status()
            if response.status_code == OK:  # the server knows no ranges, and begins anew
                here = 0
            expected = int(response.headers.get("Content-Length") or 0)
            received = 0
            with self.part.open("ab" if here else "wb") as sink:
                for chunk in response.iter_content(CHUNK):
                    sink.write(chunk)
                    received += len(chunk)
                    self.on_bytes(here + received)
            if received < expected and "Content-Encoding" not in response.headers:
                raise requests.ConnectionError(f"{received} of {expected} bytes came")

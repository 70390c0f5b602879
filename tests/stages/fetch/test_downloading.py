"""Downloads from a server on this machine: checked, continued, and refused in words."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autoseg.errors import DataError
from autoseg.stages.fetch import RemoteFile, download, unreached

CONTENT = bytes(range(256)) * 20_000
SUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; `/short` breaks off once, `/plain` knows no ranges, `/none` is not there."""

    asked: list[str | None]  # the ranges
    breaks: int

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        if self.path == "/none":
            self.send_error(404)
            return
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.path != "/plain" else 0
        if begin >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        end = len(CONTENT)
        if self.path == "/short" and type(self).breaks:
            type(self).breaks -= 1
            end = begin + 1_500_000
        self.wfile.write(CONTENT[begin:end])

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked, Handler.breaks = [], 1
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoseg.stages.fetch.downloading.SECONDS_BETWEEN", 0.0)


def test_what_is_here_is_not_downloaded_again(server: str, tmp_path: Path) -> None:
    seen: list[int] = []
    for _ in range(2):
        found = download(RemoteFile("a.bin", f"{server}/whole", SUM), tmp_path / "new", seen.append)
        assert found.read_bytes() == CONTENT
    assert Handler.asked == [None] and seen[-1] == len(CONTENT) and seen == sorted(seen)
    assert [path.name for path in found.parent.iterdir()] == ["a.bin"]


def test_a_connection_that_breaks_is_taken_up_where_it_was(server: str, tmp_path: Path) -> None:
    assert download(RemoteFile("a.bin", f"{server}/short", SUM), tmp_path).read_bytes() == CONTENT
    first, second = Handler.asked
    assert first is None and 1_000_000 < int(str(second).removeprefix("bytes=").rstrip("-")) <= 1_500_000


def test_an_interrupted_program_goes_on(server: str, tmp_path: Path) -> None:
    (tmp_path / ".a.bin.part").write_bytes(CONTENT[:2_000_000])
    assert download(RemoteFile("a.bin", f"{server}/whole", SUM), tmp_path).read_bytes() == CONTENT
    assert Handler.asked == ["bytes=2000000-"]
    (tmp_path / ".b.bin.part").write_bytes(CONTENT)
    assert download(RemoteFile("b.bin", f"{server}/whole", SUM), tmp_path).read_bytes() == CONTENT


def test_a_server_without_ranges_begins_anew(server: str, tmp_path: Path) -> None:
    (tmp_path / ".a.bin.part").write_bytes(b"something else")
    assert download(RemoteFile("a.bin", f"{server}/plain", SUM), tmp_path).read_bytes() == CONTENT


def test_what_is_not_what_it_should_be_is_removed(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.bin: is not what its checksum sha256:0+ names; it was removed"):
        download(RemoteFile("a.bin", f"{server}/whole", f"sha256:{'0' * 64}"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_servers_that_are_not_there(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.bin: the server answers 404"):
        download(RemoteFile("a.bin", f"{server}/none", SUM), tmp_path)
    told = r"127\.0\.0\.1 cannot be reached; see whether you are online\. What was downloaded is kept; the same command goes on"
    with pytest.raises(DataError, match=rf"a\.bin: cannot be downloaded: {told} from there$"):
        download(RemoteFile("a.bin", "http://127.0.0.1:9/a.bin", SUM), tmp_path)


def test_nobody_is_told_what_the_libraries_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy that is not there: the address that failed, and not the one that was asked for first."""
    import requests

    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get("https://sets.example/a", timeout=5)
    assert len(str(raised.value)) > 100
    assert unreached(raised.value, "https://doi.org") == "sets.example cannot be reached; see whether you are online"
    assert unreached(OSError("no route"), "https://doi.org/10.1") == "doi.org cannot be reached; see whether you are online"
    answer = requests.Response()
    answer.status_code = 503
    busy = requests.HTTPError("503 Server Error", response=answer)
    assert unreached(busy, "https://doi.org") == "doi.org answers 503; it may do better later"

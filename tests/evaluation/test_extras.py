"""Files of weights are fetched whole or not at all: a server on this machine that fails in each of the usual ways."""

import hashlib
import resource
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from geodesic_cli.errors import ModelError, OutputError
from geodesic_cli.evaluation.extras import fetch_file
from geodesic_cli.evaluation.ruler.needs import Need
from geodesic_cli.verbs.evaluate.weights import fetch_weights

DATA = bytes(range(256)) * 4096
RIGHT = f"net-{hashlib.sha256(DATA).hexdigest()[:8]}.pth"
WRONG, CUT, LACKING = "net-00000000.pth", f"cut/{RIGHT}", f"lacking/{RIGHT}"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if "lacking" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[: len(DATA) // 2] if "cut" in self.path else DATA)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def test_a_file_is_fetched_whole(server: str, tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder"
    assert fetch_file("LPIPS", f"{server}/{RIGHT}", place, "").read_bytes() == DATA
    assert [path.name for path in place.iterdir()] == [RIGHT]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (WRONG, r"sent another one: its SHA-256 is [0-9a-f]{16}\.\.\., and begins with 00000000"),
        (CUT, f"the connection ended after {len(DATA) // 2} of {len(DATA)} bytes"),
        (LACKING, r"cannot be fetched \(HTTP Error 404"),
    ],
)
def test_what_fails_is_a_sentence_and_leaves_nothing(server: str, tmp_path: Path, path: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=f"LPIPS needs the file .*{sentence}"):
        fetch_file("LPIPS", f"{server}/{path}", tmp_path, "")
    assert not list(tmp_path.iterdir())


def test_no_network_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be fetched .*refused"):
        fetch_file("LPIPS", f"http://127.0.0.1:9/{RIGHT}", tmp_path, "")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_takes_no_more_is_a_sentence(server: str, tmp_path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(DATA) // 4, usual[1]))
    try:
        with pytest.raises(OutputError, match=f"{RIGHT} cannot be written"):
            fetch_file("LPIPS", f"{server}/{RIGHT}", tmp_path, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert not list(tmp_path.iterdir())


def test_fetching_all_weights_keeps_only_what_is_right(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    made = {
        word: Need("LPIPS", (), path.rpartition("/")[2], None, "", "", (), "", f"{server}/{path}")
        for word, path in (("right", RIGHT), ("wrong", WRONG))
    }
    monkeypatch.setattr("geodesic_cli.verbs.evaluate.weights.NEEDS", made)
    asked: list[str] = []
    usual = _Answers.do_GET

    def told(self: _Answers) -> None:
        asked.append(self.path.rpartition("/")[2])
        usual(self)

    monkeypatch.setattr(_Answers, "do_GET", told)
    for asked_for in ([RIGHT, WRONG], [WRONG]):  # what is here and whole is not fetched again
        asked.clear()
        with pytest.raises(ModelError, match="sent another one"):
            fetch_weights(None)
        assert asked == asked_for
        assert [path.name for path in (tmp_path / "hub" / "checkpoints").iterdir()] == [RIGHT]

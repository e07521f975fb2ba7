"""A Hub on this machine: folders served over HTTP the way the real one serves repositories."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import huggingface_hub.constants as constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What is served, and what was asked for.

    Args:
        repositories: folders by their ids.
        url: where it listens.
        asked: paths of all requests.
    """

    repositories: dict[str, Path]
    url: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def fetched(self) -> set[str]:
        """The files that were sent."""
        sent = [path.partition("/resolve/")[2] for path in self.asked if path.startswith("GET /")]
        return {rest.partition("/")[2] for rest in sent if rest}


@contextmanager
def serving(**repositories: Path) -> Iterator[Hub]:
    """Serve folders, `owner__name=folder`, while the context lasts."""
    hub = Hub({name.replace("__", "/"): folder for name, folder in repositories.items()})

    class Handler(BaseHTTPRequestHandler):
        protocol_version: ClassVar[str] = "HTTP/1.1"

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            path = self.path.split("?")[0].lstrip("/")
            if path.startswith("api/models/"):
                name, tree, revision = path.removeprefix("api/models/").partition("/tree/")
                if not tree:
                    name, _, revision = name.partition("/revision/")
                return self.about(name, revision, bool(tree))
            name, _, rest = path.partition("/resolve/")
            file = hub.repositories.get(name, Path("nowhere")) / rest.partition("/")[2]
            if not file.is_file():
                return self.answer(404, b"", X_Error_Code="EntryNotFound")
            body = file.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()}"'
            return self.answer(200, body, ETag=tag, X_Repo_Commit=COMMIT)

        do_HEAD = do_GET

        def about(self, name: str, revision: str, tree: bool) -> None:
            folder = hub.repositories.get(name)
            if folder is None:
                return self.answer(404, b"{}", X_Error_Code="RepoNotFound")
            if revision not in ("", "main", "v1", COMMIT):
                return self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
            files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
            about: object = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
            if tree:
                about = [
                    {"type": "file", "path": file, "size": path.stat().st_size, "oid": "0" * 40}
                    for file, path in files.items()
                ]
            return self.answer(200, json.dumps(about).encode(), Content_Type="application/json")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def at(hub: Hub, monkeypatch) -> None:
    """From now on this is the Hub."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")


def offline(monkeypatch) -> None:
    """From now on no Hub may be asked."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

"""The card of a tuned model, and its way to a Hub that stands on this machine."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from tiny import write_pixel_model

import geodesic_cli.verbs.finetune.run as verb
from geodesic_cli.errors import InputError
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune.publishing import card
from geodesic_cli.verbs.finetune.run import finetune
from geodesic_cli.verbs.finetune.run import run as verb_run
from helpers import Recorder, into_folder

run = into_folder(verb_run)


@pytest.fixture(autouse=True, scope="module")
def measured_on_few() -> Iterator[None]:
    """The losses before and after take most of the time of so short a training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "MEASURED_EXAMPLES", 2)
        yield


class Account:
    """A Hub that takes commits: what was asked of it, and the files that it has been given."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.made: list[dict[str, Any]] = []
        self.refuses = ""

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        if self.refuses and self.refuses in path:
            return 403, {"error": "You may not."}
        if path.startswith("/api/whoami-v2"):
            return 200, {"name": "ada", "type": "user", "auth": {}}
        if path == "/api/repos/create":
            self.made.append(json.loads(body))
            name = "/".join(filter(None, [self.made[-1].get("organization") or "ada", self.made[-1]["name"]]))
            return 200, {"url": f"{constants.ENDPOINT}/{name}", "name": name, "id": name}
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            return 200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]}
        if "/commit/" in path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            return 200, {"commitUrl": f"{constants.ENDPOINT}/ada/model/commit/{'0' * 40}", "commitOid": "0" * 40}
        if path.startswith("/api/validate-yaml"):
            return 200, {"errors": [], "warnings": []}
        return 404, {"error": "Repository not found"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    account = Account()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                read = b""
                while size := int(self.rfile.readline(), 16):
                    read += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                read = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, found = account.answer(self.path, read)
            body = json.dumps(found).encode()
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")
    try:
        yield account
    finally:
        server.shutdown()
        server.server_close()


def settings(folder: Path, **options: Any) -> FinetuneSettings:
    model = str(write_pixel_model(folder / "tiny"))
    fixed = {
        "data": "scenes",
        "train_batch_size": 2,
        "max_train_steps": 1,
        "validation_steps": 0,
        "device": "cpu",
        "regulariser": "iso",
    }
    return FinetuneSettings(model=model, out=str(folder / "tuned"), push_to_hub=True, **{**fixed, **options})


def test_the_model_and_its_card_go_to_the_hub_and_nothing_that_names_this_machine(hub: Account, tmp_path: Path) -> None:
    watch = Recorder()
    run(settings(tmp_path, hub_private_repo=True), watch, "")
    assert not watch.warnings
    assert hub.made[0]["name"] == "tuned" and "private" in json.dumps(hub.made[0])
    names = set(hub.files)
    assert {"README.md", "model_index.json", "loss.csv", "unet/diffusion_pytorch_model.safetensors"} <= names
    assert not [name for name in names if name.startswith(("checkpoint", "manifest", "config.toml", "log", "report"))]
    for name in names:
        if not name.endswith(".json"):
            assert hub.files[name] == (tmp_path / "tuned" / name).read_bytes()
        assert str(tmp_path).encode() not in hub.files[name], name
    assert json.loads(hub.files["unet/config.json"])["sample_size"] == 8
    text = hub.files["README.md"].decode()
    for words in ("| base | tiny |", "| lambda | 0.001 |", "| gamma | 0.5 |", "rendered scenes", "isometry loss L"):
        assert words in text


def test_a_hub_that_fails_after_the_training_costs_a_warning_and_no_model(hub: Account, tmp_path: Path) -> None:
    hub.refuses = "/commit/"
    watch = Recorder()
    run(settings(tmp_path, hub_model_id="ada/tiny"), watch, "")
    (told,) = (words for words in watch.warnings if "could not be uploaded to ada/tiny" in words)
    assert "hf upload ada/tiny" in told
    assert (tmp_path / "tuned/unet/diffusion_pytorch_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("refuses", "words"),
    [("whoami", "does not accept the token"), ("create", "The account ada may not write to ada/tuned")],
)
def test_what_the_hub_refuses_is_one_sentence_before_the_work(
    hub: Account, tmp_path: Path, refuses: str, words: str
) -> None:
    hub.refuses = refuses
    with pytest.raises(InputError, match=words):
        run(settings(tmp_path), Recorder(), "")
    assert not (tmp_path / "tuned").exists()


def test_without_network_token_or_a_good_name_it_is_one_sentence_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
        run(chosen, Recorder(), "")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="there is none here"):
        run(chosen, Recorder(), "")
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="which cannot be reached"):
        run(chosen, Recorder(), "")
    with pytest.raises(InputError, match="takes OWNER/NAME"):
        run(settings(tmp_path, hub_model_id="a/b/c"), Recorder(), "")
    with pytest.raises(InputError, match="got no --push-to-hub"):
        FinetuneSettings(hub_model_id="ada/model")
    with pytest.raises(InputError, match="a training in memory has none"):
        finetune(str(tmp_path / "tiny"), data="scenes", push_to_hub=True)
    assert not (tmp_path / "tuned").exists()


def test_a_card_names_base_data_and_measures_and_no_folder_above_them(tmp_path: Path) -> None:
    told = {"denoising": 0.5, "isometry": 0.1}
    metrics = {
        "adapter": True, "trained_parameters": 1234, "steps": 10, "examples": 40, "measured_examples": 64,
        "before": told, "after": told,
    }  # fmt: skip
    chosen = FinetuneSettings(model="somebody/base", data="/home/me/secret/cats", lora_rank=4)
    text = card(chosen, metrics, "Fine.")
    assert "base_model: somebody/base" in text and "base_model_relation: adapter" in text
    assert "images of the folder cats" in text and "secret" not in text
    assert "rank 4, 1,234 weights" in text and "lambda" not in text
    assert "10 of 4 examples" in text and "| denoising loss | 0.5 | 0.5 | low is good |" in text
    unknown = {"denoising": 1.0, "isometry": float("nan")}
    plain = card(FinetuneSettings(dataset_name="me/cats:small"), metrics | {"before": unknown}, "")
    assert "datasets:\n- me/cats" in plain and "isometry loss" not in plain
    for folder in ("/home/me/secret/cats", str(tmp_path), "."):
        here = card(FinetuneSettings(dataset_name=folder), metrics | {"before": unknown}, "")
        assert "datasets:" not in here and f"images of the folder {Path(folder).resolve().name} |" in here
        assert "secret" not in here and str(tmp_path.parent) not in here
    uneven = card(chosen, metrics | {"after": told | {"isometry": 3.9}}, "")
    assert "directions used" in text and "| isometry loss L | 0.1 | 3.9 |" in uneven and "directions used" not in uneven

"""What goes wrong for a new user of `invert`, `latent` and `finetune`: a sentence that says what to do, and no litter.

Each row is a command line, the code it ends with, and what its last line says. A refused run leaves no folder; one that
the system stops later says how to go on.
"""

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny import write_pixel_model

from geodesic_cli import media
from geodesic_cli.cli.signals import StopSignal
from helpers import Ended, typed

FEW = ("--model", "{px}", "--steps", "2", "--device", "cpu")
SHORT = ("--max-train-steps", "1", "--train-batch-size", "1", "--validation-steps", "0", "--device", "cpu")
TRAIN = ("finetune", "--model", "{px}", "--data", "photos", *SHORT)
NO_IMAGE = {
    "none.png": "none.png does not exist",
    "empty.png": "is not one in a format that can be read",
    "text.png": "is not one in a format that can be read",
    "one.png": "one.png is 1x1",
    "thin.png": "thin.png is 1x300",
    "cut.png": "cut.png is damaged",
    "photos": "photos/0.png",
    "nothing": "There is no image in it",
    "link.png": "link.png does not exist",
}
"""What is no image, and what is said of it."""
OF_IMAGES = {
    "invert": ("invert", "{it}"),
    "slerp": ("latent", "slerp", "a.png", "{it}", "--frames", "2"),
    "line": ("latent", "line", "{it}", "--frames", "3", "--directions", "1"),
    "combine": ("latent", "combine", "a.png", "{it}", "--weights", "1,1"),
}
CASES: list[tuple[tuple[str, ...], str]] = [
    (("invert", "a.png", "--model", "px2"), "There is no model 'px2'"),
    (("invert", "a.png", "--model", "clevr-mni"), "Did you mean 'clevr-mini'?"),
    (("invert", "a.png", "--model", "nothing"), "is no complete model"),
    (("invert", "a.png", "--model", "a.png"), "is no .safetensors file"),
    (("invert", "a.png", "--prompt", "a cube", *FEW), "takes no prompt"),
    (("invert", "a.png", "--lora", "none.safetensors"), "none.safetensors is none"),
    (("invert", "a.png", "--vae", "nothing"), "There is no autoencoder in nothing"),
    (("invert", "a.png", "--against", "nowhere", *FEW), "There is no model 'nowhere'"),
    (("invert", "a.png", "--model", "{tiny}", "--device", "cpu"), "SSIM needs images of at least 11x11 pixels"),
    (("invert", "a.png", "--against", "{tiny}", *FEW), "SSIM needs images of at least 11x11 pixels"),
    (("invert", "a.png", "--steps", "0"), "--steps needs at least 1; got 0"),
    (("invert", "a.png", "--tau", "nan"), "--tau takes numbers above 0 and up to 1; got nan"),
    (("invert", "a.png", "--size", "1000000", *FEW), "between 8 and 32768 pixels on a side, not 1000000x1000000"),
    (("invert", "a.png", "--size", "64x", *FEW), "not '64x'"),
    (("invert", "a.png", "--background", "grey"), "such as #20a0ff; got 'grey'"),
    (("invert", "a.png", "--device", "gpu"), "The device 'gpu' is not available here"),
    (("invert", "a.png", "--out", "b.png", *FEW), "A folder is needed, and b.png is a file"),
    (("invert", "a.png", "--out", "b.png/x", *FEW), "cannot be written (Not a directory)"),
    (("invert", "a.png", "--out", "photos", *FEW), "photos is not empty (3 files)"),
    (("invert", "a.png", "--out", "photos", "--overwrite", *FEW), "holds no readable manifest.json"),
    (("invert", "a.png", "--resume", "photos"), "There is no run in photos to go on with"),
    (("latent", "slerp", "a.png", "a.png", *FEW), "The two images are the same"),
    (("latent", "slerp", "--frames", "1"), "--frames needs at least 2"),
    (("latent", "slerp", "--pairs", "100000000"), "--pairs takes at most 100000"),
    (("latent", "slerp", "--fps", "nan"), "--fps takes numbers from 0.1 to 240"),
    (("latent", "direction", "Red", "Blue"), "Did you mean 'red'?"),
    (("latent", "direction", "red", "blue", "--labels", "no_head.csv", *FEW), "needs the columns image and label"),
    (("latent", "direction", "red", "blue", "--labels", "a.png", *FEW), "is not a CSV file"),
    (("latent", "direction", "red", "blue", "--labels", "nothing", *FEW), "has no folders with images in them"),
    (("latent", "direction", "red", "blue", "--strengths", "nan"), "got 'nan'"),
    (("latent", "line", "--along", "spectum", *FEW), "Did you mean 'spectrum'?"),
    (("latent", "line", "--along", "nan.safetensors", *FEW), "'nan.safetensors' is none"),
    (("latent", "line", "--along", "a.png", *FEW), "The direction a.png is damaged"),
    (("latent", "line", "--frames", "4"), "Pass 5."),
    (("latent", "line", "--directions", "5000", *FEW), "got --directions 5000"),
    (("latent", "combine", "--weights=0,0"), "not all of them 0"),
    (("latent", "combine", "--weights=1,nan"), "got '1,nan'"),
    (("latent", "combine", "a.png", "b.png", *FEW), "images: 2, weights: 3"),
    ((*TRAIN, "--data", "none"), "there is none at none"),
    ((*TRAIN, "--data", "a.png"), "there is none at a.png"),
    ((*TRAIN, "--data", "nothing"), "nothing holds no images"),
    ((*TRAIN, "--data", "text_among"), "text_among/1.png is not one in a format"),
    ((*TRAIN, "--data", "tiny_among"), "tiny_among/1.png is 1x1"),
    ((*TRAIN, "--data", "no_such_file"), "names no_such_file/9.png, which does not exist"),
    ((*TRAIN, "--data", "no_head"), "it lacks file_name and text"),
    ((*TRAIN, "--data", "no_json"), "Line 2 of no_json/metadata.jsonl is not a JSON object"),
    ((*TRAIN, "--data", "a_number"), "has a caption that is no text: 7"),
    ((*TRAIN, "--data", "a_name"), "Line 1 of a_name/metadata.jsonl is not a JSON object"),
    ((*TRAIN, "--lora-rank", "100000"), "--lora-rank takes at most 4096"),
    ((*TRAIN, "--learning-rate", "nan"), "--learning-rate takes numbers above 0"),
    ((*TRAIN, "--resume-from-checkpoint", "nowhere"), "nowhere is none"),
    ((*TRAIN, "--out", "photos"), "photos is not empty"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a new user, with much in it that is not what it seems."""
    at = tmp_path_factory.mktemp("place")
    write_pixel_model(at / "px", 16)
    write_pixel_model(at / "tiny", 8)
    ramp = torch.linspace(0, 1, 24).expand(3, 24, 24)
    media.write_png(ramp, at / "a.png")
    media.write_png(1 - ramp, at / "b.png")
    data = (at / "a.png").read_bytes()
    (at / "cut.png").write_bytes(data[: len(data) // 2])
    (at / "empty.png").write_bytes(b"")
    (at / "text.png").write_text("no picture\n")
    (at / "link.png").symlink_to(at / "nowhere.png")
    Image.new("RGB", (1, 1)).save(at / "one.png")
    Image.new("RGB", (1, 300)).save(at / "thin.png")
    (at / "nothing").mkdir()
    (at / "no_head.csv").write_text("a.png,red\nb.png,blue\n")
    save_file({"direction": torch.full((768,), float("nan"))}, at / "nan.safetensors")
    captions = {
        "photos": "", "text_among": "", "tiny_among": "", "no_such_file": "file_name,text\n9.png,a cube\n",
        "no_head": "0.png,a cube\n", "no_json": '{"file_name": "0.png", "text": "a"}\n{oops\n',
        "a_number": '{"file_name": "0.png", "text": 7}\n', "a_name": '{"file_name": 3, "text": "a"}\n',
    }  # fmt: skip
    for name, text in captions.items():
        (at / name).mkdir()
        for k in range(3):
            media.write_png(ramp * k / 3, at / name / f"{k}.png")
        if text:
            (at / name / f"metadata.{'jsonl' if text.startswith('{') else 'csv'}").write_text(text)
    (at / "text_among/1.png").write_text("no picture\n")
    Image.new("RGB", (1, 1)).save(at / "tiny_among/1.png")
    return at


def said(place: Path, words: tuple[str, ...], it: str = "", **environment: str) -> Ended:
    return typed(
        *(word.format(px=place / "px", tiny=place / "tiny", it=it) for word in words), cwd=place, **environment
    )


def refused(ended: Ended, sentence: str) -> None:
    told = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1
    assert told.startswith("Error: ") and sentence in told
    assert "Traceback" not in ended.stderr and ended.stdout == ""


@pytest.mark.parametrize("verb", OF_IMAGES)
@pytest.mark.parametrize("it", NO_IMAGE)
def test_what_is_no_image_is_one_sentence(place: Path, verb: str, it: str) -> None:
    refused(said(place, (*OF_IMAGES[verb], *FEW), it), NO_IMAGE[it])
    assert not (place / "runs").exists()


@pytest.mark.parametrize(("words", "sentence"), CASES, ids=lambda value: " ".join(value)[:60])
def test_a_mistake_is_one_sentence_and_leaves_nothing(place: Path, words: tuple[str, ...], sentence: str) -> None:
    refused(said(place, words), sentence)
    assert not (place / "runs").exists()


def test_noises_that_cancel_are_refused_and_not_blamed_on_the_model(place: Path, tmp_path: Path) -> None:
    words = ("latent", "combine", "a.png", "a.png", "--weights=1,-1", "--out", str(tmp_path / "run"), *FEW)
    refused(said(place, words), "The noises cancel in A - B")


def test_captions_of_a_table_are_read(place: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in "ab":
        (data / f"{name}.png").write_bytes((place / f"{name}.png").read_bytes())
    (data / "metadata.csv").write_text('file_name;text\na.png;"a; cube"\n')
    ended = said(place, (*TRAIN, "--data", str(data), "--out", str(tmp_path / "run")))
    assert ended.returncode == 0
    assert f"{data}/metadata.csv names 1 of the images there; 1 more are left out." in ended.stderr
    assert "no captions" not in ended.stderr
    assert "isometry" not in ended.stdout  # which nobody asked for


def test_a_training_that_ruins_the_model_says_so(place: Path, tmp_path: Path) -> None:
    words = (*TRAIN, "--learning-rate", "1", "--out", str(tmp_path / "run"), "--max-train-steps", "6")
    ended = said(place, words)
    assert "The training has ruined the model" in ended.stdout and "Lower --learning-rate." in ended.stdout
    assert "%" not in ended.stdout


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A disk on which nothing more has room once a file is written whose name is in the list."""
    stopped: list[str] = []
    put = Path.replace

    def checked(self: Path, target: Path) -> Path:
        if any(part in str(target) for part in stopped):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return put(self, target)

    monkeypatch.setattr(Path, "replace", checked)
    yield stopped


@pytest.mark.parametrize(
    ("words", "stopped", "resumes"),
    [
        (("invert", "a.png", *FEW), "noise.safetensors", True),
        (("latent", "slerp", "--pairs", "1", "--frames", "2", *FEW), "video.gif", False),
        (("latent", "combine", *FEW), "sheet.png", False),
        (TRAIN, "checkpoint-1", True),
    ],
)
def test_a_full_disk_says_what_to_do_and_how_to_go_on(
    place: Path, tmp_path: Path, full: list[str], words: tuple[str, ...], stopped: str, resumes: bool
) -> None:
    out = str(tmp_path / "run")
    full.append(stopped)
    ended = said(place, (*words, "--out", out))
    refused(ended, "cannot be written")
    assert "Free some space or choose another place." in ended.stderr
    line = f"Go on with: geodesic {words[0]} --resume {out}"
    assert (line in ended.stderr) is resumes
    assert not list(tmp_path.rglob("*.tmp"))
    full.clear()
    if resumes:
        assert said(place, (words[0], "--resume", out)).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_before_a_verb_has_begun_says_so(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def stopped(name: str) -> None:
        raise StopSignal(number) if number != signal.SIGINT else KeyboardInterrupt

    monkeypatch.setattr("geodesic_cli.cli.common._module", stopped)
    ended = said(place, ("invert", "a.png", *FEW))
    assert ended.returncode == 128 + number
    assert ended.stderr.rstrip().endswith("Interrupted.")

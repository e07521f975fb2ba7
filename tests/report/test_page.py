"""The page without a browser: it needs nothing but itself, says what the run says, and lets nothing out."""

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from geodesic_cli.report import REPORT, page
from geodesic_cli.runs.pages import write_page
from geodesic_cli.settings import (
    CombineSettings,
    DirectionSettings,
    DistanceSettings,
    ExtrapolateSettings,
    FinetuneSettings,
    InterpolateSettings,
    InvertSettings,
    IsometrySettings,
    LineSettings,
    MeanSettings,
    SlerpSettings,
    ToySettings,
    VideoAnalyzeSettings,
)
from runs_made import HOSTILE, interpolation, picture, write_run


class Parsed(HTMLParser):
    """All tags with their attributes, the texts, and what stands in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-3:]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside != "style":
            (self.scripts if inside == "script" else self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def made(folder: Path) -> Parsed:
    return Parsed(write_page(folder).read_text("utf-8"))


def opened(uri: str) -> Image.Image:
    kind, data = re.fullmatch(r"data:image/(png|jpeg|gif);base64,(.*)", uri).groups()  # type: ignore[union-attr]
    image = Image.open(BytesIO(b64decode(data)))
    assert image.format is not None and image.format.lower() == kind
    image.load()
    return image


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    found = made(interpolation(tmp_path))
    for tag, attributes in found.tags:
        assert tag not in ("link", "iframe", "object", "base", "embed", "video", "audio", "form")
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in ("srcset", "href", "style", "action"), (tag, name)
            if name == "src":
                assert opened(value or "").width > 0
    text = (tmp_path / REPORT).read_text("utf-8")
    assert not re.search(r"https?://|//cdn|@import|url\(|fetch\(|XMLHttpRequest|eval\(", text)
    (policy,) = [meta["content"] for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    assert ("lang", "en") in found.all("html")[0].items() and found.all("title") and found.all("h1")


def test_the_film_its_marks_and_its_methods_are_there(tmp_path: Path) -> None:
    found = made(interpolation(tmp_path))
    assert [len(frames) for frames in found.data["frames"]] == [9, 9]
    pixels = {opened(uri).tobytes() for frames in found.data["frames"] for uri in frames}
    assert len(pixels) == 12  # 9 and 9, of which 6 are the same
    assert all(image.get("alt") for image in found.all("img"))
    (slider,) = [each for each in found.all("input") if each["type"] == "range"]
    assert (slider["min"], slider["max"]) == ("0", "8")
    told = found.text.partition("Again")[0]
    assert "great circle" in told and "slerp" not in told
    assert "global short path, residual 0.2, not converged" in told and "geodesic," not in told  # tol is 0.03
    captions = found.data["captions"]
    assert "image that was given" in captions[0] and "image that was given" in captions[8]
    assert "doubtful" in captions[4] and "doubtful" not in captions[3]
    kinds = [path["class"] for path in found.all("path") if path.get("class") in ("given", "doubtful")]
    assert kinds == ["given", "given", "doubtful"]
    assert all(len(trace) == 9 for plot in found.data["dots"] for trace in plot)


def test_curves_are_within_the_square_and_say_their_values(tmp_path: Path) -> None:
    found = made(interpolation(tmp_path))
    said = [svg["aria-label"] or "" for svg in found.all("svg") if svg.get("role") == "img"]
    assert [words.split(",")[0] for words in said] == ["Density", "Speed", "Residual"]
    for path in found.all("path"):
        if (path.get("class") or "").startswith("line c") and "L" in (path["d"] or ""):
            assert all(0 <= int(number) <= 1000 for number in re.findall(r"-?\d+", path["d"] or ""))
    density = found.data["dots"][0][0]
    assert [dot[2] for dot in density][::4] == ["0", "−1.5", "−3"]
    assert [dot[0] for dot in density][::4] == [0, 500, 1000]
    assert found.data["dots"][2][0][0] is None  # the residual begins after the first image


def test_names_that_would_break_out_are_shown_as_they_are(tmp_path: Path) -> None:
    settings = InterpolateSettings(images=(HOSTILE, "b.png"), prompt=(HOSTILE,), model=HOSTILE)
    folder = interpolation(tmp_path, settings=settings, status=HOSTILE, versions={HOSTILE: HOSTILE})
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics |= {"names": {"global": HOSTILE, "slerp": HOSTILE}, HOSTILE: HOSTILE}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    found = made(folder)
    assert len(found.all("script")) == 2 and len(found.scripts) == 2
    assert not any("alert" in script and script is not found.scripts[0] for script in found.scripts)
    assert "49" not in re.findall(r"\{\{|49", " ".join(found.texts))
    assert " ".join(HOSTILE.split()) in found.text
    assert len(found.data["frames"]) == 2  # the data are read whole


def test_what_the_command_says_can_be_typed_again(tmp_path: Path) -> None:
    found = made(interpolation(tmp_path))
    assert "geodesic interpolate --compare lerp,slerp,geodesic a.png b.png" in found.text
    assert "--compare lerp,slerp,geodesic none" in found.text
    assert str(tmp_path) not in (tmp_path / REPORT).read_text("utf-8")  # no places of this machine


def test_the_time_is_not_in_it(tmp_path: Path) -> None:
    first = write_page(interpolation(tmp_path / "a")).read_bytes()
    second = interpolation(tmp_path / "b", wall_seconds=99.0)
    metrics = json.loads((second / "metrics.json").read_text())
    (second / "metrics.json").write_text(json.dumps(metrics | {"seconds": 77.7}))
    assert write_page(second).read_bytes() == first


@pytest.mark.parametrize("noise", [False, True])
def test_a_long_film_of_large_frames_can_be_sent(tmp_path: Path, noise: bool) -> None:
    folder = interpolation(tmp_path, frames=1, side=512)
    generator = torch.Generator().manual_seed(0)
    for k in range(1, 4):
        image = torch.rand(3, 512, 512, generator=generator) if noise else picture(512, k)
        Image.fromarray(image.mul(255).byte().movedim(0, -1).numpy()).save(folder / f"frames/{k:05d}.png")
    for k in range(4, 200):
        (folder / f"frames/{k:05d}.png").symlink_to(folder / f"frames/{1 + k % 3:05d}.png")
        (folder / f"frames/{k:05d}.png").unlink()
        (folder / f"frames/{k:05d}.png").hardlink_to(folder / f"frames/{1 + k % 3:05d}.png")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = sorted({*manifest["files"], *(f"frames/{k:05d}.png" for k in range(200))})
    metrics = json.loads((folder / "metrics.json").read_text())
    text = page(folder, manifest, metrics)
    assert len(text.encode()) < 20_000_000
    frames = Parsed(text).data["frames"][-1]
    assert len(frames) == 200
    assert min(opened(frames[100]).size) >= (128 if noise else 384)


def test_a_film_of_thousands_of_frames_shows_every_nth_and_its_marks(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("geodesic_cli.report.document.MOST_FRAMES", 3)
    found = made(interpolation(tmp_path))
    assert [len(frames) for frames in found.data["frames"]] == [3, 3]
    assert [caption.split(" (")[0] for caption in found.data["captions"]] == ["frame 0", "frame 4", "frame 8"]


def test_what_is_missing_or_damaged_is_left_out(tmp_path: Path) -> None:
    folder = interpolation(tmp_path)
    (folder / "compare/slerp/00003.png").write_bytes(b"no picture")
    (folder / "sheet.png").unlink()
    for metrics in ("{}", "[1]", "not JSON", '{"paths": [], "global": 7, "keyframes": "x", "positions": [null, "a"]}'):
        (folder / "metrics.json").write_text(metrics)
        found = made(folder)
        assert [len(frames) for frames in found.data["frames"]][:1] == [9]
    (folder / "metrics.json").unlink()
    for name in (folder / "frames").iterdir():
        name.unlink()
    found = made(folder)
    assert found.data["frames"] == [] and "geodesic interpolate" in found.text


def test_only_files_of_the_run_are_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    folder = interpolation(tmp_path / "run", files=["metrics.json", "../secret.png", str(secret), "link.png", "frames"])
    (folder / "link.png").symlink_to(secret)
    found = made(folder)
    assert not found.all("img") and found.data["frames"] == []


def test_photographs_are_shown_upright_and_those_that_are_too_large_not_at_all(
    tmp_path: Path, monkeypatch: Any
) -> None:
    photo = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (3000, 2000)).save(photo, exif=exif)
    back = {"reconstructions/00000.png": picture(16, 1)}
    run = write_run(tmp_path / "run", InvertSettings(images=(str(photo),)), {}, back)
    image, _ = (opened(frames[0]) for frames in made(run).data["frames"])
    assert image.width < image.height <= 1536
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000_000)
    assert len(made(run).data["frames"]) == 1


OTHER = {
    "distance": (
        DistanceSettings(images=("a.png", "b.png", "c.png")),
        {
            "images": ["/elsewhere/a.png", "/elsewhere/b.png", "c.png"],
            "distances": [[0, 1.5, 4], [1.5, 0, 2.25], [4, 2.25, 0]],
            "plus_minus": [[0, 0.1, 0.2], [0.1, 0, 0.3], [0.2, 0.3, 0]],
            "nearest": [[2, 3], [1, 3], [2, 1]],
            "not_converged": [[1, 3]],
        },
        {f"images/{k:05d}.png": picture(16, k) for k in range(3)} | {"distances.png": picture(16, 9)},
        [
            "image 1: a.png · nearest: 2, 3",
            "What is near what",
            "image 3 at 2.25",
            "4 ± 0.2 *",
            "No geodesic to the tolerance",
            "The distances as colours",
        ],
    ),
    "mean": (
        MeanSettings(images=("a.png", "b.png")),
        {
            "images": ["/elsewhere/a.png", "b.png"],
            "distances": [1.25, 2.5],
            "plus_minus": [0.125, 0.25],
            "euclidean": [3, 4],
            "weights": [0.5, 0.5],
            "not_converged": [2],
        },
        {f"frames/{k:03d}/{j:05d}.png": picture(16, k + 2 * j) for k in range(2) for j in range(3)}
        | {"mean.png": picture(16, 0)},
        [
            "to image 1",
            "to image 2, not converged",
            "the mean",
            "50% of the way",
            "From the mean to each image",
            "unknown",
        ],
    ),
    "extrapolate": (
        ExtrapolateSettings(source=("clip",)),
        {
            "known": [0, 6],
            "rays": {"after": {"made": 3, "log_density": [-1.0, -2.0, -4.0], "steps": [1, 2, 3], "drifted": [2]}},
        },
        {f"frames/{k:05d}.png": picture(16, k) for k in range(9)},
        ["a new frame", "after the last frame", "−4", "frame 7 (0 to 8) · a new frame · doubtful"],
    ),
    "latent slerp": (
        SlerpSettings(pairs=2),
        {"paths": {"slerp": {"summary": {"path_ppl": {"mean": 0.25}}}}, "perceptual": "pyramid"},
        {f"frames/{pair:03d}/{k:05d}.png": picture(16, pair + 2 * k) for pair in range(2) for k in range(4)},
        ["pair 1", "pair 2", "great circle", "0.25"],
    ),
    "invert": (
        InvertSettings(images=("nowhere.png",)),
        {"transport": {"psnr": {"mean": 55.2}}, "noise": {"norm": {"mean": 1.0}, "chance": {"norm": 0.04}}},
        {"reconstructions/00000.png": picture(16, 1)},
        ["inverted and back", "55.2", "1 ± 0.04"],
    ),
    "finetune": (
        FinetuneSettings(regulariser="iso"),
        {"before": {"denoising": 0.5, "isometry": 0.1}, "after": {"denoising": 0.4, "isometry": 0.05}},
        {f"previews/{k:06d}.png": picture(16, k) for k in (0, 5, 10)},
        ["before the training", "0.4", "20", "--regulariser iso"],
    ),
    "latent direction": (
        DirectionSettings(source="red", target="blue"),
        {
            "strengths": {
                "direction": [
                    {"strength": 0.5, "flipped": 0.2},
                    {"strength": 2.0, "flipped": 0.75, "flipped_low": 0.41, "flipped_high": 0.93},
                ]
            }
        },
        {"sheet.png": picture(16, 1)},
        ["strength 0.5", "0.75 (0.41 to 0.93)", "Along the direction", "red to blue"],
    ),
    "latent line": (
        LineSettings(along="spectrum"),
        {
            "lines": ["direction 1", "random, beside"],
            "strengths": [-1.0, 0.0, 1.0],
            "change": {"direction 1": [0.4, 0.0, 0.75], "random, beside": [0.125, 0.0, 0.1]},
            "singular_values": [[31.5]],
            "noises": 2,
            "perceptual": "pyramid",
        },
        {
            f"frames/{n:03d}/{line:03d}/{k:05d}.png": picture(16, n + line + k)
            for n in (0, 1)
            for line in (0, 1)
            for k in range(3)
        },
        [
            *("direction 1", "random, beside", "strength −1, the first of 2 noises", "the noise itself", "Change"),
            *("The lines", "largest change", "0.75", "31.5", "0.125"),
        ],
    ),
    "latent combine": (
        CombineSettings(images=("x/cat.png", "dog.png"), weights="1,-0.5"),
        {
            "images": ["x/cat.png", "dog.png"],
            "weights": [1.0, -0.5],
            "distances": [0.21, 0.34],
            "norm_of_the_sum": 1.118,
            "fit_error": 0.07,
        },
        {**{f"parts/{k:05d}.png": picture(16, k) for k in range(2)}, "result.png": picture(16, 7)},
        [
            *("A: cat.png, weight 1", "B: dog.png, weight −0.5", "the sum", "What was added up", "0.21", "0.34"),
            *("The sum", "1.12", "0.07"),
        ],
    ),
    "toy": (
        ToySettings(),
        {"paths": {"straight": {"length": 9.37, "residual": 1.0}, "geodesic": {"length": 5.68, "residual": 0.002}}},
        {"toy.png": picture(16, 1)},
        ["straight line", "9.37", "5.68", "The paths in the plane"],
    ),
    "isometry": (IsometrySettings(), {"points": 8}, {"spectrum.png": picture(16, 1)}, ["The spectrum", "points 8"]),
}


@pytest.mark.parametrize("verb", OTHER)
def test_other_verbs_show_what_they_have(verb: str, tmp_path: Path) -> None:
    settings, metrics, pictures, words = OTHER[verb]
    found = made(write_run(tmp_path, settings, metrics, pictures))
    assert f"geodesic {verb}" in found.text
    for word in words:
        assert word in found.text or word in json.dumps(found.data, ensure_ascii=False), word


@pytest.mark.parametrize(("residual", "caption"), [(0.05, "the mean"), (0.2, "the mean, not converged")])
def test_a_mean_that_is_not_reached_is_not_shown_without_that_word(
    residual: float, caption: str, tmp_path: Path
) -> None:
    settings, metrics, pictures, _ = OTHER["mean"]
    found = made(write_run(tmp_path, settings, metrics | {"residual": residual}, pictures))
    assert found.data["captions"][0] == caption


@pytest.mark.parametrize("verb", ["distance", "mean", "latent line", "latent combine"])
@pytest.mark.parametrize("odd", [7, "x", [7], [[1, [2]]], [[None]], {"a": 1}, [["x", 9.5], [99]]])
def test_odd_numbers_of_a_set_are_left_out(verb: str, odd: Any, tmp_path: Path) -> None:
    settings, metrics, pictures, _ = OTHER[verb]
    found = made(write_run(tmp_path, settings, metrics, pictures))
    for key in metrics:
        (tmp_path / "metrics.json").write_text(json.dumps(metrics | {key: odd}))
        assert made(tmp_path).all("h1") == found.all("h1")


def test_the_clip_that_was_analysed_is_shown_as_long_as_it_is_there(tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    clip.mkdir()
    for k in range(4):
        Image.new("RGB", (16, 16), (60 * k, 0, 0)).save(clip / f"{k}.png")
    metrics = {
        "worst_segment": {"first": 1, "last": 2, "kind": "jump"},
        "gradient_norm": {"clip": 0.1, "smoothed": 0.9},
    }
    run = write_run(tmp_path, VideoAnalyzeSettings(clip=(str(clip),)), metrics, {})
    rows = ["frame,log_density,segment_speed,gradient", "0,0,,", "1,-1,1,0.5", "2,-2,1.5,0.25", "3,-4,1,"]
    (run / "clip.csv").write_text("\n".join(rows))
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"files": ["clip.csv", "metrics.json"]}))
    found = made(run)
    assert [len(frames) for frames in found.data["frames"]] == [4]
    assert [caption.endswith("jump") for caption in found.data["captions"]] == [False, True, True, False]
    assert [dot and dot[2] for dot in found.data["dots"][1][0]] == [None, "0.5", "0.25", None]
    (clip / "3.png").unlink()
    found = made(run)
    assert found.data["frames"] == [] and "smoothed clip" in found.text


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("latent line", ["model one: direction 1", "model two: direction 1", "model two: Change"]),
        ("latent combine", ["model two: What was added up", "model two: The sum"]),
    ],
)
def test_both_models_are_told_of_where_noises_move_in_two(verb: str, words: list[str], tmp_path: Path) -> None:
    settings, metrics, pictures, _ = OTHER[verb]
    both = metrics | {"name": "model one", "against": metrics | {"name": "model two"}}
    found = made(write_run(tmp_path, settings, both, pictures | {f"against-{k}": v for k, v in pictures.items()}))
    assert len(found.data["frames"]) == (4 if verb == "latent line" else 2)
    for word in words:
        assert word in found.text or word in json.dumps(found.data, ensure_ascii=False), word

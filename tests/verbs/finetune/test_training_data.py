import json
from pathlib import Path

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.media import write_png
from geodesic_cli.scenes import Scene, Solid
from geodesic_cli.verbs.finetune.data import Scenes, caption, left_out, read_folder
from geodesic_cli.verbs.finetune.deck import generator


def shade(value: int, height: int = 12, width: int = 12) -> torch.Tensor:
    """An image of one gray, value / 255."""
    return torch.full((3, height, width), value / 255)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten gray images, 0.png to 9.png, in shades 0, 10, ..., 90, and captions."""
    lines = []
    for k in range(10):
        write_png(shade(10 * k), tmp_path / f"{k}.png")
        lines.append(json.dumps({"file_name": f"{k}.png", "text": f"shade {k}"}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def shades(images: torch.Tensor) -> list[int]:
    return [round(float(image.mean()) * 25.5) for image in images]


def test_a_place_holds_the_same_example_whoever_asks_for_it(folder: Path) -> None:
    for data in (Scenes(16, seed=3), read_folder(folder, 8, seed=3, flip=True)):
        images, captions = data.batch(5, 6, range(6))
        part, words = data.batch(5, 6, [4, 1])
        assert torch.equal(part, images[[4, 1]])
        assert words == [captions[4], captions[1]]


def test_other_steps_and_other_seeds_have_other_scenes() -> None:
    first = Scenes(16, seed=3).batch(0, 2, range(2))[0]
    assert not torch.equal(first, Scenes(16, seed=3).batch(1, 2, range(2))[0])
    assert not torch.equal(first, Scenes(16, seed=4).batch(0, 2, range(2))[0])


def test_a_folder_is_gone_through_without_replacement_and_in_a_new_order_each_time(folder: Path) -> None:
    data = read_folder(folder, 8, seed=0)
    epochs = [[shade for step in range(5 * k, 5 * k + 5) for shade in shades(data.batch(step, 2, range(2))[0])]
              for k in (0, 1)]  # fmt: skip
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_captions_belong_to_their_images(folder: Path) -> None:
    images, captions = read_folder(folder, 8, seed=0, empty=0).batch(0, 10, range(10))
    assert captions == [f"shade {k}" for k in shades(images)]


def test_captions_are_left_out_as_often_as_told(folder: Path) -> None:
    data = read_folder(folder, 8, seed=0, empty=0.3)
    _, captions = data.batch(0, 1000, range(1000))
    assert 0.25 < captions.count("") / 1000 < 0.35
    assert set(read_folder(folder, 8, seed=0, empty=1.0).batch(0, 20, range(20))[1]) == {""}


def test_a_flip_mirrors_about_half_of_the_images(tmp_path: Path) -> None:
    image = torch.zeros(3, 8, 8)
    image[:, :, :4] = 1
    write_png(image, tmp_path / "left.png")
    images, _ = read_folder(tmp_path, 8, seed=0, flip=True).batch(0, 200, range(200))
    turned = (images[:, 0, 0, 0] < 0.5).sum().item()
    assert 70 < turned < 130
    straight, _ = read_folder(tmp_path, 8, seed=0).batch(0, 50, range(50))
    assert bool((straight[:, 0, 0, 0] > 0.5).all())


def test_a_folder_without_captions_is_read_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "sub/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_png(shade(10), tmp_path / name)
    data = read_folder(tmp_path, 8, seed=0)
    assert [str(path.relative_to(tmp_path)) for path in data.paths] == ["2.png", "10.png", "sub/1.png"]
    assert set(data.captions) == {""}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("{not json", "Line 1"),
        ('{"text": "a"}', "file_name"),
        ('{"file_name": "0.png"}', "--caption-column"),
        ('{"file_name": "0.png", "text": 3}', "no text"),
        ('{"file_name": "none.png", "text": "a"}', "does not exist"),
        ("[1]", "Line 1"),
    ],
)
def test_a_line_that_says_nothing_is_named(folder: Path, line: str, word: str) -> None:
    (folder / "metadata.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=word):
        read_folder(folder, 8, seed=0)


def test_a_missing_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is none"):
        read_folder(tmp_path / "none", 8, seed=0)
    with pytest.raises(InputError, match="holds no images"):
        read_folder(tmp_path, 8, seed=0)


def test_captions_of_scenes_name_what_is_seen() -> None:
    scene = Scene((Solid("cube", "red", "metal"),))
    texts = {caption(scene, k / 100) for k in range(100)}
    assert texts == {"a red metal cube", "a red cube", "a red object", "a cube", "a metal cube"}


def test_generators_of_different_purposes_are_unrelated() -> None:
    draws = {
        float(torch.rand((), generator=generator(*about))) for about in ((0, "a"), (0, "b"), (1, "a"), (0, "a", 1))
    }
    assert len(draws) == 4
    assert torch.equal(torch.rand(3, generator=generator(7, "x")), torch.rand(3, generator=generator(7, "x")))


def test_images_that_the_metadata_does_not_name_are_counted(folder: Path) -> None:
    assert left_out(folder, read_folder(folder, 8, seed=0)) == 0
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    (folder / "metadata.jsonl").write_text("\n".join(lines[:7]) + "\n")
    assert left_out(folder, read_folder(folder, 8, seed=0)) == 3
    (folder / "metadata.jsonl").unlink()
    assert left_out(folder, read_folder(folder, 8, seed=0)) == 0


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_captions_are_read_as_any_system_writes_them(tmp_path: Path, coding: str, end: str) -> None:
    (tmp_path / "in").mkdir()
    texts = ["ein Täßchen", "two\u2028lines", ""]
    for k in range(3):
        write_png(shade(k), tmp_path / "in" / f"{k}ä.png")
    lines = [
        json.dumps({"file_name": f"in{'/' if k else chr(92)}{k}ä.png", "text": text}, ensure_ascii=False)
        for k, text in enumerate(texts)
    ]
    text = end.join([*lines, ""])
    (tmp_path / "metadata.jsonl").write_bytes(text.encode(coding))
    assert read_folder(tmp_path, 8, seed=0).captions == tuple(texts)


def test_a_name_is_found_in_either_way_of_writing_accents(tmp_path: Path) -> None:
    write_png(shade(1), tmp_path / "a\u0308.png")  # as macOS writes it
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "\u00e4.png", "text": "x"}')
    assert read_folder(tmp_path, 8, seed=0).paths[0].is_file()


def test_hidden_files_are_no_examples_and_every_format_is_one(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a.png", "b.JFIF", "c.avif", "d.gif"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    (tmp_path / "__MACOSX").mkdir()
    for name in ("._a.png", ".hidden.png", "__MACOSX/._a.png"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7junk")
    data = read_folder(tmp_path, 16, seed=0)
    assert [path.name for path in data.paths] == ["a.png", "b.JFIF", "c.avif", "d.gif"]
    assert data.batch(0, 4, range(4))[0].shape == (4, 3, 16, 16)

"""Layouts of the field, made here file by file: what is found in each, and what is refused."""

import json
from pathlib import Path

import pytest
import torch

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.layouts import captions_beside, pairs_of, sequences_of

PICTURE = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))


def draw(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            media.write_png(PICTURE, path)
        else:
            media.write_png(PICTURE, path.with_suffix(".png"))
            path.with_suffix(".png").rename(path)


def frames(folder: Path, count: int = 11, name: str = "frame_{}.png") -> None:
    draw(*(folder / name.format(k) for k in range(count)))


def test_a_results_folder_by_name_and_method_in_natural_order(tmp_path: Path) -> None:
    for name in ("castle", "dog10", "dog2"):
        for method in ("ours", "slerp"):
            frames(tmp_path / name / method)
    layout, found = sequences_of(tmp_path)
    assert layout == "methods"
    assert [(each.name, each.method) for each in found][:2] == [("castle", "ours"), ("castle", "slerp")]
    assert [each.name for each in found][::2] == ["castle", "dog2", "dog10"]
    assert [path.name for path in found[0].source][1:3] == ["frame_1.png", "frame_2.png"]


def test_a_results_folder_by_subset_and_name_has_the_root_for_its_method(tmp_path: Path) -> None:
    for name in ("Animation/cat", "Metamorphosis/castle"):
        frames(tmp_path / "ours" / name / "frames", 4, "frame_{}.png")
    layout, found = sequences_of(tmp_path / "ours")
    assert layout == "subsets"
    assert [(each.name, each.method) for each in found] == [("Animation/cat", "ours"), ("Metamorphosis/castle", "ours")]


def test_one_folder_of_frames_folders_by_name_and_films(tmp_path: Path) -> None:
    frames(tmp_path / "one", 5, "{}.png")
    assert [sequences_of(tmp_path / "one")[0], len(sequences_of(tmp_path / "one")[1][0].source)] == ["frames", 5]
    assert sequences_of(tmp_path)[0] == "names"
    film = tmp_path / "films" / "walk.gif"
    film.parent.mkdir()
    media.write_gif(torch.rand(4, 3, 16, 16), film, 8)
    layout, found = sequences_of(tmp_path / "films")
    assert (layout, found[0].name, found[0].method) == ("films", "walk", "films")


def test_a_run_of_ours_and_its_comparison(tmp_path: Path) -> None:
    frames(tmp_path / "run" / "frames", 4, "{:05d}.png")
    frames(tmp_path / "run" / "compare" / "slerp", 4, "{:05d}.png")
    draw(tmp_path / "a.png", tmp_path / "b.png")
    manifest = {"settings": {"images": ["a.png", "b.png"], "method": "global"}, "begun_in": str(tmp_path)}
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    layout, found = sequences_of(tmp_path / "run")
    assert layout == "ours" and [each.method for each in found] == ["global", "slerp"]
    assert found[0].inputs == (tmp_path / "a.png", tmp_path / "b.png")
    assert sequences_of(tmp_path)[1][0].name == "run"


def test_strips_are_images_of_frames_side_by_side(tmp_path: Path) -> None:
    draw(tmp_path / "s" / "x.png", tmp_path / "s" / "y.png")
    layout, found = sequences_of(tmp_path / "s", strip=4)
    assert layout == "strips" and [each.strip for each in found] == [4, 4]


def test_what_fits_no_layout_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    draw(tmp_path / "castle_0.png", tmp_path / "castle_1.png", tmp_path / "dog_0.png", tmp_path / "dog_1.png")
    with pytest.raises(InputError, match=r"seen: 0 folders, 4 x \.png.*--pairs"):
        sequences_of(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        sequences_of(tmp_path / "none")
    with pytest.raises(InputError, match="in the layout methods"):
        sequences_of(tmp_path, "methods")


def test_pairs_of_any_suffix_on_either_side_and_in_subsets(tmp_path: Path) -> None:
    draw(tmp_path / "Animation" / "pair2_0.jpg", tmp_path / "Animation" / "pair2_1.webp")
    draw(tmp_path / "Animation" / "pair10_0.png", tmp_path / "Animation" / "pair10_1.jpeg")
    draw(tmp_path / "castle_0.png", tmp_path / "castle_1.jpg", tmp_path / "alone_0.png")
    draw(*(tmp_path / "film" / f"frame_{k}.png" for k in range(3)))
    found = pairs_of(tmp_path)
    assert [pair.name for pair in found.pairs] == ["Animation/pair2", "Animation/pair10", "castle"]
    assert found.pairs[0].b.suffix == ".webp" and found.captions == ""
    assert sequences_of(tmp_path / "film", inputs=tmp_path)[1][0].inputs is None


def test_captions_of_every_kind_are_used_and_said(tmp_path: Path) -> None:
    draw(tmp_path / "castle_0.png", tmp_path / "castle_1.png", tmp_path / "dog_0.png", tmp_path / "dog_1.png")
    texts = {
        "captions.json": '{"castle": ["a castle", "a ruin"], "dog": "a dog"}',
        "prompts.json": '[["a castle", "a ruin"], ["a dog", "a dog"]]',
        "captions.csv": "name,prompt_a,prompt_b\ncastle,a castle,a ruin\ndog,a dog,a dog\n",
        "metadata.jsonl": "\n".join(
            json.dumps({"file_name": f"{name}.png", "text": text})
            for name, text in (("castle_0", "a castle"), ("castle_1", "a ruin"), ("dog_0", "a dog"), ("dog_1", "a dog"))
        ),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        found = pairs_of(tmp_path)
        assert [pair.prompts for pair in found.pairs] == [("a castle", "a ruin"), ("a dog", "a dog")], name
        assert found.captions.startswith(f"{name} (")
        (tmp_path / name).unlink()
    (tmp_path / "captions.json").write_text("[1]")
    with pytest.raises(InputError, match="holds none"):
        captions_beside(tmp_path)


def test_a_table_has_prompts_and_options_and_a_class_is_paired_by_its_seed(tmp_path: Path) -> None:
    draw(*(tmp_path / f"{name}.png" for name in "abcd"))
    (tmp_path / "pairs.csv").write_text("a,b,prompt_a,prompt_b,tau\na.png,b.png,red,blue,0.5\nc.png,d.png,,,\n")
    found = pairs_of(tmp_path / "pairs.csv").pairs
    assert found[0].prompts == ("red", "blue") and found[0].options == {"tau": "0.5"} and found[1].prompts == ()
    drawn = pairs_of(tmp_path, seed=1)
    assert len(drawn.pairs) == 2 and drawn == pairs_of(tmp_path, seed=1)
    with pytest.raises(InputError, match="columns a and b"):
        (tmp_path / "bad.csv").write_text("x,y\n1,2\n")
        pairs_of(tmp_path / "bad.csv")


def test_images_of_a_class_are_paired_below_a_bound_and_given_pairs_are_not(tmp_path: Path) -> None:
    for k in range(6):
        media.write_png(PICTURE, tmp_path / f"cat-{k}.png")

    def near(a: Path, b: Path) -> bool:
        return abs(int(a.stem[-1]) - int(b.stem[-1])) == 1

    found = pairs_of(tmp_path, seed=3, near=near)
    assert found.pairs and all(near(pair.a, pair.b) for pair in found.pairs)
    assert f"{2 * len(found.pairs)} of 6 near enough to another" in found.layout
    assert len({path for pair in found.pairs for path in (pair.a, pair.b)}) == 2 * len(found.pairs)
    with pytest.raises(InputError, match="No two images"):
        pairs_of(tmp_path, near=lambda a, b: False)
    (tmp_path / "given").mkdir()
    for name in ("x_0.png", "x_1.png"):
        media.write_png(PICTURE, tmp_path / "given" / name)
    with pytest.raises(InputError, match="folder of images of one class"):
        pairs_of(tmp_path / "given", near=near)

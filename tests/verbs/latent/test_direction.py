"""Directions in noise: found where they are, tried on other images, judged beside random ones."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import write_pixel_model

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.errors import InputError
from geodesic_cli.media import read_image, write_png
from geodesic_cli.runs.observer import Silent
from geodesic_cli.scenes import MIDDLE, Fit, Scene, Solid, render, sample
from geodesic_cli.settings import DirectionSettings, parse_strengths
from geodesic_cli.verbs.latent.direction import find, latent_direction, move
from geodesic_cli.verbs.latent.direction import run as verb_run
from geodesic_cli.verbs.latent.labels import Attribute, attribute, of_files, of_scenes, shares
from helpers import Recorder, into_folder, normal

run = into_folder(verb_run)

QUICK = {"pairs": 6, "held_out": 2, "steps": 4, "strengths": "1"}


def test_both_estimates_find_the_direction_that_two_clouds_lie_apart_along() -> None:
    apart = torch.zeros(20, dtype=torch.float64)
    apart[3] = 5.0
    source, target = normal(400, 20, seed=1), normal(400, 20, seed=2) + apart
    for estimate in ("mean", "svm"):
        found = find(source, target, estimate)
        assert float(torch.nn.functional.cosine_similarity(found, apart, dim=0)) > 0.97
        assert float(found.norm()) == pytest.approx(5, rel=0.1)


def test_moving_keeps_the_norm_and_strength_zero_keeps_the_point() -> None:
    x, direction = normal(3, 50), normal(50, seed=1)
    moved = move(x, direction, 2.0)
    assert torch.allclose(moved.norm(dim=1), x.norm(dim=1))
    assert torch.allclose(move(x, direction, 0.0), x)
    assert bool(((moved - x) @ direction > 0).all())


@pytest.mark.parametrize(
    ("source", "target"),
    [("red", "blue"), ("cube", "sphere"), ("metal", "rubber"), ("left", "right"), ("large", "small")],
)
def test_pairs_of_scenes_differ_in_the_label_and_in_nothing_else(source: str, target: str) -> None:
    what = attribute(source, target)
    for scene in sample(20, torch.Generator().manual_seed(0)):
        a, b = (what.having(scene, word).solids[0] for word in (source, target))
        assert not what.has_target(a)
        assert what.has_target(b)
        assert what.kept(a, b)
        assert replace(b, **{what.name: getattr(a, what.name)}) == a  # type: ignore[arg-type]


def test_a_flip_counts_as_clean_only_if_all_else_is_kept() -> None:
    what = attribute("red", "blue")

    def fitted(**changes: object) -> Fit:
        return Fit(Scene((replace(Solid("cube", "red", x=0.2), **changes),)), 0.0)  # type: ignore[arg-type]

    table = shares(
        what, [fitted()] * 4, [fitted(colour="blue"), fitted(), fitted(colour="blue", x=0.9), fitted(colour="green")]
    )
    assert table == {
        "flipped": [True, False, True, False],
        "kept": [True, True, False, True],
        "both": [True, False, False, False],
    }


def test_numbers_flip_at_the_middle() -> None:
    what = Attribute("x", "left", "right")
    assert what.has_target(Solid("cube", "red", x=MIDDLE["x"] + 0.01))
    assert not what.has_target(Solid("cube", "red", x=MIDDLE["x"] - 0.01))


def test_words_that_scenes_do_not_know_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no label 'bleu'.*Did you mean 'blue'"):
        attribute("red", "bleu")
    with pytest.raises(InputError, match=r"of one kind: red is a colour, cube a shape.*blue"):
        attribute("red", "cube")
    with pytest.raises(InputError, match="both are 'red'"):
        DirectionSettings(source="red", target="red")
    for text in ("", "1,,2", "a", "nan", "1e9"):
        with pytest.raises(InputError, match="--strengths takes numbers"):
            parse_strengths(text)


def test_held_out_scenes_are_in_neither_class_and_have_the_first_label() -> None:
    data = of_scenes(attribute("red", "blue"), 3, 2, 32, seed=0)
    assert (len(data.source), len(data.target), len(data.held_out), data.paired) == (3, 3, 2, True)
    for image in data.held_out:
        assert not any(torch.equal(image, other) for other in torch.cat([data.source, data.target]))


def test_a_direction_is_found_tried_and_judged(model: LatentDiffusion) -> None:
    found = latent_direction("red", "blue", model=model, **QUICK)
    assert found.direction.shape == (256,)
    assert found.edited.shape == (1, 2, 3, 64, 64)
    row = found.metrics["strengths"]["direction"][0]
    shares = ("flipped", "kept", "both")
    intervals = {f"{name}_{end}" for name in shares for end in ("low", "high")}
    assert {"strength", *shares, *intervals, "fit_error", "distance"} == set(row)
    assert all(row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] for name in shares)
    assert row["both"] <= min(row["flipped"], row["kept"])
    assert found.metrics["separability"]["guessing"] == pytest.approx(2)
    assert torch.equal(found.direction, latent_direction("red", "blue", model=model, **QUICK).direction)


@pytest.mark.slow
def test_a_direction_for_colour_works_on_held_out_scenes_and_random_ones_do_not(model: LatentDiffusion) -> None:
    found = latent_direction("red", "blue", model=model, pairs=48, held_out=16, strengths="1")
    tables = found.metrics["strengths"]
    assert tables["direction"][0]["flipped"] > 0.3
    assert tables["random"][0]["flipped"] < 0.15
    assert found.metrics["separability"]["ls"] < 1.6


@pytest.mark.slow
def test_a_stopped_run_keeps_what_was_inverted(tmp_path: Path) -> None:
    settings = DirectionSettings(source="red", target="blue", out=str(tmp_path / "o"), device="cpu", **QUICK)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Recorder(after=1), "test")
    kept = tmp_path / "o/checkpoint/source.safetensors"
    before = kept.stat().st_mtime_ns
    done = run(replace(settings, resume=True), Silent(), "test")
    assert kept.stat().st_mtime_ns == before
    for name in ("sheet.png", "direction.safetensors", "metrics.json"):
        assert (tmp_path / "o" / name).is_file()
    assert "other images turned from red to blue" in done.status


# --- labels of one's own ---------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ten images a label and a few with a third one."""
    rows = ["image,label"]
    for label, count in (("a", 10), ("b", 8), ("c", 2)):
        for k in range(count):
            image = render([Scene((Solid("cube", {"a": "red", "b": "blue", "c": "gray"}[label], x=0.1 * k - 0.5),))])[0]
            write_png(image, tmp_path / f"{label}{k}.png")
            rows.append(f"{label}{k}.png,{label}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_table_of_files_gives_a_direction_without_shares(model: LatentDiffusion, table: Path) -> None:
    found = latent_direction("a", "b", model=model, labels=str(table), held_out=3, steps=4, strengths="1,2")
    assert found.metrics["trained_on"] == [7, 8]
    assert found.metrics["attribute"] is None
    assert found.metrics["agreement"] is None
    assert set(found.metrics["strengths"]["direction"][0]) == {"strength", "distance"}
    assert found.metrics["separability"]["folds"] == 5


def test_held_out_files_are_not_used_to_find_the_direction(table: Path) -> None:
    data = of_files(str(table), "a", "b", 3, 0, lambda names: torch.stack([read_image(name) for name in names]))
    everything = torch.cat([data.source, data.held_out])
    assert len(everything.flatten(1).unique(dim=0)) == 10
    assert any(torch.equal(data.held_out[0], read_image(table.parent / f"a{k}.png")) for k in range(10))


def test_tables_that_cannot_be_used_are_refused(tmp_path: Path, table: Path) -> None:
    def read(path: Path, source: str = "a", target: str = "b", held_out: int = 2) -> None:
        of_files(
            str(path),
            source,
            target,
            held_out,
            0,
            lambda names: torch.stack([read_image(name) for name in names]),
        )

    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"no image with the label 'bb'; its labels are a, b, c\. Did you mean 'b'"):
        read(table, target="bb")
    with pytest.raises(InputError, match="10 of 'a' and 8 of 'b'"):
        read(table, held_out=9)
    (tmp_path / "columns.csv").write_text("what,label\nx,y\n")
    with pytest.raises(InputError, match="needs the columns image and label; it lacks image"):
        read(tmp_path / "columns.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a CSV file"):
        read(tmp_path / "bytes.csv")
    (tmp_path / "lost.csv").write_text("image,label\n" + "".join(f"no{k}.png,{'ab'[k % 2]}\n" for k in range(10)))
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "lost.csv")


def test_folders_are_labels_too_and_noise_that_is_none_is_told_of(tmp_path: Path) -> None:
    pixels = load_unconditional(str(write_pixel_model(tmp_path / "tiny", 16)), "cpu")
    for label, level in (("dark", 0.2), ("bright", 0.8)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for k in range(7):
            picture = torch.full((3, 16, 16), level)
            picture[:, k:, :8] += 0.1
            write_png(picture, tmp_path / "data" / label / f"{k}.png")
    watch = Recorder()
    quick = {"held_out": 1, "steps": 2, "strengths": "1"}
    found = latent_direction("dark", "bright", model=pixels, labels=str(tmp_path / "data"), observer=watch, **quick)
    assert found.metrics["trained_on"] == [6, 7]
    assert any("of 14 images is not like noise" in words for words in watch.warnings)
    (tmp_path / "t.csv").write_text("image,kind\na.png,dark\n")
    with pytest.raises(InputError, match="has kind in the place of label"):
        latent_direction("dark", "bright", model=pixels, labels=str(tmp_path / "t.csv"), **quick)


def test_a_model_that_draws_no_scenes_needs_labelled_images() -> None:
    with pytest.raises(InputError, match=r"emoji-mini cannot draw rendered scenes.*Pass --labels"):
        latent_direction("red", "blue", model="emoji-mini")

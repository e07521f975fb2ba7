"""`--captions` through the whole verb: read, said, and the same as the prompts that were read."""

import json
from dataclasses import replace

import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.media import write_png
from geodesic_cli.scenes import render, sample
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.verbs.interpolate.run import run as verb_run
from helpers import into_folder

run = into_folder(verb_run)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    scenes = sample(2, torch.Generator().manual_seed(12))
    names = []
    for k, picture in enumerate(render(scenes)):
        names.append(str(folder / f"{k}.png"))
        write_png(picture, folder / f"{k}.png")
    (folder / "list.txt").write_text("".join(f"{s.caption}\n" for s in scenes) + "a green rubber cube\n")
    return scenes, tuple(names), folder


def test_the_run_is_that_of_the_prompts_that_were_read_and_names_them(pair):
    scenes, images, folder = pair
    how = {"images": images, "method": "slerp", "frames": 3, "steps": 4, "formats": "none", "force": True}
    read = run(InterpolateSettings(captions=str(folder / "list.txt"), out=str(folder / "read"), **how))
    given = run(InterpolateSettings(prompt=tuple(s.caption for s in scenes), out=str(folder / "given"), **how))
    assert read.metrics["prompts"] == [scene.caption for scene in scenes] == given.metrics["prompts"]
    assert torch.equal(read.frames, given.frames)
    assert read.metrics["evaluations"]["text"] > 0 and "text" not in given.metrics["evaluations"]
    assert json.loads((folder / "read/metrics.json").read_text())["prompts"] == read.metrics["prompts"]


def test_a_run_does_not_go_on_with_prompts_of_another_list(pair, tmp_path):
    scenes, images, _ = pair
    words, kept = tmp_path / "list.txt", ("report.html", "sheet.png", "metrics.json")
    how = {"images": images, "method": "slerp", "frames": 3, "steps": 4, "formats": "none", "force": True}
    asked = InterpolateSettings(captions=str(words), out=str(tmp_path / "run"), **how)
    words.write_text(f"{scenes[0].caption}\n")
    run(asked)
    before = [(tmp_path / "run" / name).read_bytes() for name in kept]
    words.write_text("a green rubber cube\n")
    with pytest.raises(InputError, match="prompts that the captions give are not those that this run was begun with"):
        run(replace(asked, resume=True))
    assert [(tmp_path / "run" / name).read_bytes() for name in kept] == before
    words.write_text(f"{scenes[0].caption}\n")
    assert run(replace(asked, resume=True)).metrics["prompts"] == [scenes[0].caption] * 2


def test_prompts_beside_a_list_of_captions_are_refused(pair):
    with pytest.raises(InputError, match="not both"):
        InterpolateSettings(images=pair[1], prompt=("a cube",), captions="own")


def test_a_missing_list_is_refused_before_the_model_is_loaded(pair):
    with pytest.raises(InputError, match="cannot be read as a text of captions"):
        run(InterpolateSettings(images=pair[1], captions="no-such-list.txt", model="no-such-model", out=None))

"""What `geodesic models NAME` says of one model."""

import shutil
from pathlib import Path

import huggingface_hub.constants as constants
import pipelines
import pytest

from geodesic_cli.diffusion.loading import locate
from geodesic_cli.errors import ModelError
from geodesic_cli.verbs.about.fetching import one_model


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(("name", "shapes"), [("sd15", pipelines.SD1), ("sdxl", pipelines.XL)])
@pytest.mark.parametrize("variant", [None, "fp16"])
def test_the_files_of_the_command_are_a_whole_model(
    tmp_path: Path, name: str, shapes: pipelines.Shapes, variant: str | None
) -> None:
    """A folder with these files alone, as the command makes it, is loaded."""
    from geodesic_cli.diffusion import load

    model = one_model(name)
    command = model.fetch_half if variant else model.fetch
    assert command is not None and model.here is None
    words = command.split()
    assert words[:2] == ["hf", "download"] and words[3:5] == ["--local-dir", name]
    whole = pipelines.build(shapes, tmp_path / "whole", variant=variant)
    for part in whole.glob("tokenizer*"):
        (part / "special_tokens_map.json").write_text("{}")
    for file in words[5:]:
        (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(whole / file, tmp_path / name / file)
    assert not locate.lacks(tmp_path / name, variant)
    load(str(tmp_path / name), "cpu", variant=variant)
    if variant is None:
        assert model.files == tuple(words[5:])


def test_what_is_here_and_what_is_not(tmp_path: Path) -> None:
    inside = one_model("clevr-mini")
    assert inside.here and inside.fetch is None and inside.licence == "Apache 2.0"
    folder = pipelines.build(pipelines.XL, tmp_path / "mine")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    mine = one_model(str(folder))
    assert (mine.here, mine.licence, mine.folder) == (str(folder), "mit", "mine")
    assert "sdxl" in mine.about and "unet/config.json" in mine.files
    other = one_model("someone/something")
    assert other.here is None and other.fetch is not None
    assert other.fetch.startswith("hf download someone/something --local-dir something --include ")
    with pytest.raises(ModelError, match="There is no model 'sd16'"):
        one_model("sd16")

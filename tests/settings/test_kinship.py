"""Defaults that were measured on a model go with it, wherever its folder is."""

import json
from pathlib import Path

from geodesic_cli.settings import FinetuneSettings, InterpolateSettings
from geodesic_cli.settings.kinship import KINSHIP, kin_of


def test_a_model_made_from_the_embedded_one_keeps_its_defaults(tmp_path: Path) -> None:
    (tmp_path / KINSHIP).write_text(json.dumps({"of": "clevr-mini"}))
    for model in ("clevr-mini", str(tmp_path)):
        assert kin_of(model) == "clevr-mini"
        assert InterpolateSettings(images=("a", "b"), model=model).method == "global"
        assert FinetuneSettings(model=model).max_train_steps == 300
    for model in ("sd15", "owner/name", str(tmp_path / "nowhere"), "", "a\0b"):
        assert kin_of(model) == model
        assert InterpolateSettings(images=("a", "b"), model=model).method == "geodesic"


def test_a_file_that_says_nothing_useful_counts_for_nothing(tmp_path: Path) -> None:
    for text in ("", "{", "[]", "3", '{"of": 3}', '{"of": null}', "[" * 100_000):
        (tmp_path / KINSHIP).write_text(text)
        assert kin_of(str(tmp_path)) == str(tmp_path)

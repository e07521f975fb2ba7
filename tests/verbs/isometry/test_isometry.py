import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler
from networks import pixel_network

import geodesic_cli
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.loading.unconditional import load_unconditional
from geodesic_cli.diffusion.tuning.features import Bottleneck
from geodesic_cli.errors import InputError
from geodesic_cli.media import write_png
from geodesic_cli.runs.observer import Silent
from geodesic_cli.settings import IsometrySettings
from geodesic_cli.verbs.isometry.run import Isometry, isometry
from geodesic_cli.verbs.isometry.run import run as verb_run
from geodesic_cli.verbs.isometry.table import markdown, rough, rows, used
from helpers import Recorder, into_folder

run = into_folder(verb_run)

QUICK = {"taus": "0.5,1", "points": 3, "pairs": 2, "segments": 4, "ppl_pairs": 0, "labelled": 0, "steps": 4}


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pixel model of 8 x 8 with random weights."""
    folder = tmp_path_factory.mktemp("ddpm")
    pixel_network().float().save_pretrained(folder / "unet")
    DDPMScheduler().save_pretrained(folder / "scheduler")
    return str(folder)


@pytest.fixture(scope="module")
def measured(model: LatentDiffusion) -> Isometry:
    """clevr-mini at one noise level."""
    return isometry(model, taus="1", points=2, pairs=2, segments=4, ppl_pairs=4, labelled=60, steps=4)


def test_every_measure_is_there_and_in_its_range(measured: Isometry) -> None:
    about = measured.metrics["models"][0]
    level = about["levels"][0]
    assert level["jacobian"] == "exact"
    assert level["dimension"] == 256 and level["features"] == 2048 and level["possible"]
    assert 1 / 255 < level["loss"] < 1
    assert level["participation"] == pytest.approx(1 / level["loss"])
    for kind in ("riemannian", "pooled"):
        assert 1 < level[kind]["mcn"] < 1e6
        assert level[kind]["vor"] > 0
    assert (level["riemannian"]["directions"], level["pooled"]["directions"]) == (255, 128)
    assert level["mrtl"] >= 1
    assert about["ppl"]["value"] > 0 and about["ppl"]["distance"].startswith("pyramid")
    assert about["ls"]["value"] >= 1 and set(about["ls"]["accuracies"]) == {
        "x",
        "y",
        "size",
        "metal",
        "sphere",
        "cube",
    }
    assert measured.levels[0][0].spectrum.shape == (2, 255)


@pytest.mark.slow  # half a minute: a thousand Jacobian products of clevr-mini
def test_the_exact_loss_is_near_what_probes_estimate(model: LatentDiffusion, measured: Isometry) -> None:
    chance = isometry(
        model, taus="1", points=2, pairs=1, segments=2, ppl_pairs=0, labelled=0, jacobian="projected", probes=150
    )
    level, exact = chance.metrics["models"][0]["levels"][0], measured.metrics["models"][0]["levels"][0]
    assert level["jacobian"] == "projected"
    assert level["loss"] == pytest.approx(exact["loss"], rel=0.15)
    assert "riemannian" not in level  # what 64 directions show has not the name of the whole
    # Eigenvalues interlace, and a Krylov space sees more of both ends than as many random directions.
    assert level["spread"]["mcn"] < level["ends"]["mcn_at_least"] < exact["riemannian"]["mcn"] * (1 + 1e-9)
    ends, spectrum = level["ends"]["first"], measured.levels[0][0].spectrum[0] ** 2
    for end in ("top", "bottom"):
        assert float((spectrum - ends[end]).abs().min()) <= ends[f"{end}_error"] * (1 + 1e-6) + 1e-9 * ends["top"]
    assert ends["top"] == pytest.approx(float(spectrum[0]), rel=1e-3)
    assert ends["bottom"] >= float(spectrum[-1]) * (1 - 1e-6)
    assert level["pooled"]["mcn"] == pytest.approx(exact["pooled"]["mcn"], rel=1e-6)
    told = markdown(chance.metrics)
    assert "MCN is at least" in told and "spread in 64 random directions" in told and "--jacobian exact" in told
    assert "1024 evaluations" in told  # 2 x 256 x 2 points at one level
    assert 0 < level["spectrum_error"] < 0.15
    top = chance.levels[0][0].spectrum[0]
    assert torch.allclose(top[:5], measured.levels[0][0].spectrum[0, :5], rtol=1e-2)


def test_the_authors_convention_is_a_column_of_its_own_name(pixels: str) -> None:
    """Against `torch.autograd` and `AvgPool2d`: all of J of windows of 2 x 2, at pure noise, N - 1, told the index."""
    quick = QUICK | {"taus": "0.8", "jacobian": "projected", "published": True}
    found = isometry(pixels, data="scenes", **quick)
    level = found.metrics["models"][0]["levels"][0]
    assert level["published"]["index"] == 999 - 799
    model = load_unconditional(pixels, "cpu", "fp32")
    unet = model.predict.unet.double()
    noise = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(8)).double()
    values = []
    for x in noise[:, None]:
        f = Bottleneck(unet, torch.tensor([200.0]))
        whole = torch.autograd.functional.jacobian(lambda y, f=f: torch.nn.AvgPool2d(2)(f(y)).flatten(), x)
        values.append(torch.linalg.svdvals(whole.flatten(1)))
    spectra = torch.stack(values)
    assert level["published"]["directions"] == spectra.shape[1]
    assert level["published"]["mcn"] == pytest.approx(float((spectra[:, 0] / spectra[:, -1]).mean()), rel=1e-6)
    assert level["published"]["vor"] == pytest.approx(float(spectra.log().var(0).sum()), rel=1e-6)
    assert "MCN as in the authors' code" in markdown(found.metrics)
    assert "published" not in isometry(pixels, data="scenes", **QUICK).metrics["models"][0]["levels"][0]


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(pixels: str) -> None:
    first, again = (isometry(pixels, data="scenes", **QUICK).metrics["models"][0]["levels"] for _ in range(2))
    assert first == again
    assert isometry(pixels, data="scenes", seed=1, **QUICK).metrics["models"][0]["levels"] != first


def test_a_model_beside_itself_has_ratios_of_one(pixels: str) -> None:
    found = isometry(pixels, against=pixels, data="scenes", **QUICK).metrics
    heads, lines = rows(found)
    assert heads[2] != heads[3]
    assert {line[-1] for line in lines} <= {"1.000", ""}
    assert sum(line[-1] == "1.000" for line in lines) >= 10


@pytest.mark.parametrize(("error", "ratio"), [(0.1, "2.000"), (0.8, "")])
def test_a_path_length_has_its_error_and_a_ratio_only_beyond_it(pixels: str, error: float, ratio: str) -> None:
    found = isometry(pixels, data="scenes", **QUICK).metrics
    told = {"error": error, "distance": "d", "kept": 4, "pairs": 4, "eps": 0.1}
    models = [{**found["models"][0], "name": str(value), "ppl": {"value": value, **told}} for value in (1.0, 2.0)]
    line = next(line for line in rows({**found, "models": models})[1] if line[0].startswith("PPL"))
    assert line[2:] == (f"1 +- {error}", f"2 +- {error}", ratio)


def test_a_rescaled_encoder_measures_the_same(pixels: str) -> None:
    """All measures of the encoder are free of scale."""
    one, two = (load_unconditional(pixels, "cpu") for _ in range(2))
    hook = two.predict.unet.mid_block.register_forward_hook(lambda module, inputs, output: 5 * output)
    try:
        found = isometry(one, against=two, data="scenes", **QUICK).metrics["models"]
    finally:
        hook.remove()
    for a, b in zip(found[0]["levels"], found[1]["levels"], strict=True):
        for name in ("loss", "mrtl"):
            assert b[name] == pytest.approx(a[name], rel=1e-6)
        for kind in ("riemannian", "pooled"):
            assert b[kind]["mcn"] == pytest.approx(a[kind]["mcn"], rel=1e-4)
            assert b[kind]["vor"] == pytest.approx(a[kind]["vor"], rel=1e-4)


def test_too_few_features_are_said_to_make_an_isometry_impossible(pixels: str) -> None:
    watch = Recorder()
    narrow = load_unconditional(pixels, "cpu")  # h has 16 x 4 x 4 = 256 dimensions for a sphere of 191
    hook = narrow.predict.unet.mid_block.register_forward_hook(lambda module, inputs, output: output[:, :4])
    try:
        found = isometry(narrow, data="scenes", observer=watch, **QUICK)
    finally:
        hook.remove()
    level = found.metrics["models"][0]["levels"][0]
    assert not level["possible"]
    assert math.isinf(level["riemannian"]["mcn"]) and math.isinf(level["riemannian"]["vor"])
    assert level["loss"] > 1 / 64 - 1e-9
    assert any("64 dimensions" in text and "191" in text for text in watch.warnings)
    assert "infinite" in markdown(found.metrics)


def test_a_run_writes_the_table_the_plot_and_the_numbers(pixels: str, tmp_path: Path) -> None:
    settings = IsometrySettings(model=pixels, against=pixels, data="samples", out=str(tmp_path / "run"), **QUICK)
    result = run(settings, Silent(), "geodesic isometry")
    assert result.folder == tmp_path / "run"
    for name in ("table.md", "spectrum.png", "metrics.json", "config.toml", "manifest.json"):
        assert (result.folder / name).stat().st_size > 100
    stored = json.loads((result.folder / "metrics.json").read_text())
    assert stored["models"][0]["levels"][1]["tau"] == 1
    assert stored["data"].startswith("samples")
    assert "| mRTL" in (result.folder / "table.md").read_text()


@pytest.mark.slow
def test_what_is_measured_is_on_disk_when_the_run_is_stopped(tmp_path: Path) -> None:
    network = pixel_network().float()
    network.register_to_config(sample_size=16)  # large enough for a perceptual distance
    network.save_pretrained(tmp_path / "ddpm" / "unet")
    DDPMScheduler().save_pretrained(tmp_path / "ddpm" / "scheduler")
    pixels = str(tmp_path / "ddpm")
    small, out = QUICK | {"ppl_pairs": 4, "jacobian": "projected", "directions": 4, "probes": 8}, str(tmp_path / "run")
    settings = IsometrySettings(model=pixels, data="samples", out=out, **small)
    with pytest.raises(KeyboardInterrupt):
        run(settings, Recorder("Perceptual", 1))
    stored = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert [level["tau"] for level in stored["models"][0]["levels"]] == [0.5, 1]
    text = (tmp_path / "run" / "table.md").read_text()
    assert "has not ended" in text and "| mRTL" in text and "PPL" not in text
    with pytest.raises(KeyboardInterrupt):
        run(replace(settings, against=pixels, overwrite=True), Recorder("Looking at the encoder of model 2", 4))
    stored = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert [len(one["levels"]) for one in stored["models"]] == [2, 1]
    assert (tmp_path / "run" / "table.md").read_text().count("| mRTL") == 2


def test_what_is_missing_is_named_at_once_and_leaves_out_its_row_alone(
    model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)  # as where the extra is not installed
    watch = Recorder()
    small = {
        "taus": "1",
        "points": 2,
        "pairs": 1,
        "segments": 3,
        "ppl_pairs": 1,
        "steps": 2,
        "directions": 2,
        "probes": 2,
    }
    found = isometry(model, jacobian="projected", lpips=True, labelled=6, observer=watch, **small)
    about = found.metrics["models"][0]
    assert about["ppl"]["distance"].startswith("pyramid") and about["levels"] and "ls" not in about
    assert [line.partition(" is left out")[0] for line in watch.warnings[:2]] == ["LPIPS", "Linear separability"]
    assert "geodesic-cli[metrics]" in watch.warnings[0] and "5 examples" in watch.warnings[1]


def test_points_can_be_images_of_a_folder(pixels: str, tmp_path: Path) -> None:
    for k in range(3):
        write_png(torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(k)), tmp_path / f"{k}.png")
    found = isometry(pixels, data=str(tmp_path), **QUICK)
    assert str(tmp_path) in found.metrics["data"]
    with pytest.raises(InputError, match="at least 4 images"):
        isometry(pixels, data=str(tmp_path), **QUICK | {"points": 4})


def test_the_function_is_one_of_the_package() -> None:
    assert geodesic_cli.isometry is isometry
    with pytest.raises(InputError, match="no option 'pionts'"):
        isometry(pionts=3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"taus": "0.5,x"}, "noise levels separated"),
        ({"taus": ""}, "noise levels separated"),
        ({"taus": "0"}, "above 0"),
        ({"points": 1}, "at least 2"),
        ({"jacobian": "exat"}, "Did you mean 'exact'"),
        ({"directions": 1}, "at least 2"),
        ({"segments": 1}, "at least 2"),
        ({"ppl_eps": 0.0}, "above 0"),
        ({"metric_weights": "x"}, "--lpips"),
        ({"against_lora": ("x",)}, "--against"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        IsometrySettings(**wrong)


# --- labels of one's own ---------------------------------------------------------------------------------------------


def test_linear_separability_is_measured_with_labels_of_ones_own(pixels: str, tmp_path: Path) -> None:
    chance = torch.Generator().manual_seed(0)
    for label, level in (("dark", 0.2), ("bright", 0.8)):
        (tmp_path / label).mkdir()
        for k in range(8):
            write_png(level + 0.1 * torch.rand(3, 8, 8, generator=chance), tmp_path / label / f"{k}.png")
    few = QUICK | {"taus": "1", "points": 2, "jacobian": "projected", "directions": 2, "probes": 1, "pairs": 1}
    found = isometry(pixels, labels=str(tmp_path), **(few | {"labelled": 14}))
    ls = found.metrics["models"][0]["ls"]
    assert (ls["points"], ls["what"], set(ls["accuracies"])) == (14, "images", {"label"})
    low, high = ls["intervals"]["label"]
    assert 0 <= low <= ls["accuracies"]["label"] <= high + 1e-9
    assert "14 images, 5 folds; told right, with the interval of 95%: label" in markdown(found.metrics)
    watch = Recorder()
    none = isometry(pixels, labels=str(tmp_path), observer=watch, **(few | {"labelled": 6}))
    assert "ls" not in none.metrics["models"][0]
    assert any("Linear separability is left out" in words for words in watch.warnings)
    with pytest.raises(InputError, match="cannot be read"):
        isometry(pixels, labels=str(tmp_path / "none.csv"), **few)


def test_a_rough_encoder_is_said_to_be_rough_once_and_a_smooth_one_is_not() -> None:
    smooth, edge = {"tau": 0.5, "held": 0.9}, {"tau": 1.0, "held": 0.05}
    assert rough("one", [smooth, smooth]) is None
    told = rough("one", [smooth, edge])
    assert told is not None and "at tau 1 " in told and "keeps 5%" in told


def test_how_far_the_derivative_holds_is_measured_on_either_way(pixels: str, measured: Isometry) -> None:
    assert 0.5 < measured.metrics["models"][0]["levels"][0]["held"] < 1.1  # clevr-mini is smooth
    assert "strongest derivative kept over 0.1 rad" in markdown(measured.metrics)
    watch = Recorder()
    quick = QUICK | {"taus": "1", "directions": 2, "probes": 1}
    found = [isometry(pixels, jacobian=kind, observer=watch, **quick) for kind in ("exact", "projected")]
    assert all(0 < one.metrics["models"][0]["levels"][0]["held"] <= 1.5 for one in found)


def test_less_than_one_direction_is_not_called_none() -> None:
    assert [used({"participation": value}, 1) for value in (20.94, 1.0, 0.25)] == ["20.9", "1.0", "less than 1"]

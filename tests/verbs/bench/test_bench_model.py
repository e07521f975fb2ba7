"""The measure_speed counts what the score adds to the bare network, at equal batch, in one run."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from geodesic_cli.diffusion import Conditioning, Embedding, LatentDiffusion
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.errors import InputError
from geodesic_cli.settings import BenchModelSettings
from geodesic_cli.verbs.bench import model as bench_model
from geodesic_cli.verbs.bench.model import LEAST_ROUNDS, measure_speed
from geodesic_cli.verbs.bench.model import run as verb_run
from helpers import into_folder

run = into_folder(verb_run)

SHAPE = (4, 8, 8)


def test_the_adapter_costs_little_beside_the_smallest_network(model: LatentDiffusion) -> None:
    # The bar is 5 %, and is held where it is measured with care; here the machine is shared. With the properties of
    # diffusers, which look through all modules for a device and a dtype, it was 48 %.
    row = measure_speed(model, SHAPE, 1, 0.5)
    assert -0.2 < row.overhead < 0.2
    assert row.rounds >= LEAST_ROUNDS and row.chunk == row.batch == 1
    assert row.evaluations == pytest.approx(1 / row.score)
    assert (row.device, row.dtype) == ("cpu", "float32")
    assert row.peak is not None and row.peak > 50e6


def test_what_the_score_adds_is_seen(model: LatentDiffusion) -> None:
    # A conditioning that takes as long as the network doubles the time of the score and not that of the network.
    class Slow(Conditioning):
        pause = 0.0

        def __call__(self, u: torch.Tensor) -> Embedding:
            time.sleep(self.pause)
            return super().__call__(u)

    plain = measure_speed(model, SHAPE, 1, 0.01)
    along = model.prompts.along(())
    slow = Slow(along.start, along.end)
    object.__setattr__(slow, "pause", max(0.05, plain.raw))
    prompts = SimpleNamespace(along=lambda texts: slow)
    row = measure_speed(replace(model, prompts=prompts), SHAPE, 1, 0.01)  # type: ignore[arg-type]
    assert row.overhead > 0.5 and row.score > plain.score + 0.03


def test_both_doors_go_through_the_same_chunks(model: LatentDiffusion) -> None:
    asked: list[int] = []

    def ask(network, z, times, condition):
        asked.append(len(z))
        return model.predict.ask(network, z, times, condition)

    narrow = replace(model, predict=replace(model.predict, chunks=Chunks(2), ask=ask))
    row = measure_speed(narrow, SHAPE, 5, 0.01)
    assert row.chunk == 2 and set(asked) == {1, 2}
    assert sorted(asked[:6]) == [1, 1, 2, 2, 2, 2]


def test_a_run_has_a_row_for_each_device_dtype_and_batch(tmp_path) -> None:
    out = tmp_path / "bench"
    result = run(BenchModelSettings(dtype="fp32,bf16", device="cpu", batches=(1, 3), seconds=0.01, out=str(out)))
    assert [(row.dtype, row.batch) for row in result.rows] == [
        ("float32", 1),
        ("float32", 3),
        ("bfloat16", 1),
        ("bfloat16", 3),
    ]
    table = (out / "table.md").read_text()
    assert table.count("\n|") == 5 and "overhead" in table and (out / "bench.json").is_file()
    assert all(len(line) == len(result.table.heads) for line in result.table.lines)
    assert result.metrics["rows"][3]["dtype"] == "bfloat16"


def test_a_system_that_does_not_say_its_memory_leaves_a_dash(monkeypatch, model) -> None:
    monkeypatch.setattr(bench_model, "_resident", lambda: None)
    assert measure_speed(model, SHAPE, 1, 0.01).cells[-1] == "-"


@pytest.mark.parametrize(
    ("wrong", "word"), [({"batches": ()}, "batches"), ({"batches": (0,)}, "batches"), ({"device": ","}, "device")]
)
def test_settings_that_measure_nothing_are_refused(wrong, word) -> None:
    with pytest.raises(InputError, match=f"--{word}"):
        BenchModelSettings(**wrong)


@pytest.mark.gpu
def test_on_a_gpu_the_peak_is_that_of_tensors() -> None:
    result = run(BenchModelSettings(device="cuda", dtype="fp16,fp32", batches=(33,), seconds=1.0))
    assert all(row.peak is not None and 1e6 < row.peak < 20e9 for row in result.rows)

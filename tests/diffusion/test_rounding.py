"""Chunk, order of a batch and device change a score by no more than the rounding of the network's dtype."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.diffusion.densities import density_score

SHAPE, TAU = (4, 8, 8), 0.4
# The relative error of a score is that of some tens of layers of the dtype's precision: 1.2e-7, 7.8e-3, 9.8e-4.
ROUNDING = {"fp32": 2e-5, "bf16": 3e-2, "fp16": 5e-3}


def points(n: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(n, 256, dtype=torch.float64, generator=generator), torch.linspace(0, 1, n, dtype=torch.float64)


def scores(model: LatentDiffusion, chunk: int, rows: Tensor | None = None) -> Tensor:
    narrow = replace(model, predict=replace(model.predict, chunks=Chunks(chunk)))
    conditioning = narrow.prompts.along(("a red rubber cube", "a blue metal sphere"))
    x, u = points()
    rows = torch.arange(len(x)) if rows is None else rows
    score = density_score(narrow, SHAPE, TAU, conditioning, density="guided", guidance=2.0)
    device = "cpu" if model.device.type == "mps" else model.device
    return score(x[rows].to(device), u[rows].to(device)).cpu()


SLOW = ([], [pytest.mark.slow])  # half precision is slow where the processor has none


def error(a: Tensor, b: Tensor) -> float:
    return float(((a - b).norm(dim=1) / b.norm(dim=1)).max())


@pytest.mark.parametrize("dtype", [pytest.param(dtype, marks=SLOW[dtype == "fp16"]) for dtype in ROUNDING])
def test_chunk_and_order_change_a_score_by_rounding_only(dtype: str) -> None:
    model = load("clevr-mini", device="cpu", dtype=dtype)
    whole = scores(model, 64)
    for chunk in (1, 3, 8):
        assert error(scores(model, chunk), whole) < ROUNDING[dtype]
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    assert error(scores(model, 64, order), whole[order]) < ROUNDING[dtype]
    assert torch.equal(scores(model, 3), scores(model, 3)), "the same chunks give the same bits"


def test_a_narrower_dtype_is_near_the_wide_one(model: LatentDiffusion) -> None:
    wide = scores(model, 64)
    for dtype in ("bf16", "fp16"):
        assert error(scores(load("clevr-mini", device="cpu", dtype=dtype), 64), wide) < 3 * ROUNDING[dtype]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", list(ROUNDING))
def test_the_device_changes_a_score_by_rounding_only(dtype: str) -> None:
    on_cpu = scores(load("clevr-mini", device="cpu", dtype=dtype), 64)
    on_gpu = scores(load("clevr-mini", device="cuda", dtype=dtype), 64)
    assert error(on_gpu, on_cpu) < 3 * max(ROUNDING[dtype], 1e-3)  # CUDA multiplies matrices in TF32

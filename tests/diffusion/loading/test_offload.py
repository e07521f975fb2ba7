"""With little memory one part is on the device at a time, and the numbers stay the same."""

from dataclasses import replace

import pytest
import torch

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.diffusion.latents import LOW_TILE, TILE, tile_above
from geodesic_cli.diffusion.loading.devices import compiled, why_not_compile
from geodesic_cli.diffusion.loading.offload import Offloaded, Seat
from geodesic_cli.errors import ModelError


class Watched(torch.nn.Module):
    """A module that remembers where it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.sent: list[str] = []

    def to(self, *args, **kwargs):
        self.sent.append(str(args[0]))
        return super().to(*args, **kwargs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert self.weight.device.type == "meta"
        return 2 * x


def test_a_part_comes_to_the_device_when_called_and_goes_when_another_does() -> None:
    seat = Seat(torch.device("meta"))
    a, b = Watched(), Watched()
    first, second = Offloaded(a, seat), Offloaded(b, seat)
    assert first.device == torch.device("meta")
    assert float(first(torch.ones(()))) == 2
    first(torch.ones(()))
    assert a.sent == ["meta"], "it moves once"
    a.to = lambda where: a.sent.append(where)  # what has no numbers cannot leave the device meta
    second(torch.ones(()))
    assert a.sent == ["meta", "cpu"]
    assert b.sent == ["meta"]


def test_a_model_of_parts_that_move_gives_the_same(model: LatentDiffusion) -> None:
    seat = Seat(torch.device("cpu"))
    reader = model.prompts.readers[0]
    moving = replace(
        model,
        codec=replace(model.codec, vae=Offloaded(model.codec.vae, seat)),
        predict=replace(model.predict, unet=Offloaded(model.predict.unet, seat)),
        prompts=replace(model.prompts, readers=(replace(reader, encoder=Offloaded(reader.encoder, seat)),)),
    )
    for each in (model, moving):
        drawn = each.sample(["a red cube"], torch.Generator().manual_seed(0), steps=2)
        assert drawn.shape == (1, 3, 64, 64)
    assert torch.equal(drawn, model.sample(["a red cube"], torch.Generator().manual_seed(0), steps=2))
    assert seat.taken is model.codec.vae
    assert moving.fingerprint == model.fingerprint


def test_low_memory_on_the_cpu_tiles_earlier_and_changes_nothing_on_small_images(model: LatentDiffusion) -> None:
    low = load("clevr-mini", "cpu", low_memory=True)
    assert not low.codec.tiled(LOW_TILE, LOW_TILE)
    assert low.codec.tiled(LOW_TILE, LOW_TILE + 8)
    assert model.codec.tiled(TILE + 8, 64)
    assert not model.codec.tiled(TILE, TILE)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(low.encode(images), model.encode(images))
    assert low.fingerprint == model.fingerprint


def test_tiles_are_near_the_whole_image(model: LatentDiffusion, pair: torch.Tensor) -> None:
    from helpers import decibels

    tiled = load("clevr-mini", "cpu")
    tile_above(tiled.codec.vae, 128)
    large = torch.nn.functional.interpolate(pair, size=(192, 256), mode="bilinear")
    shape = model.latent_shape(192, 256)
    z = model.encode(large)
    assert tiled.encode(large).shape == z.shape
    assert not torch.equal(tiled.decode(z, shape), model.decode(z, shape))
    assert decibels(tiled.decode(z, shape), model.decode(z, shape)) > 22
    assert decibels(tiled.decode(tiled.encode(large), shape), model.decode(z, shape)) > 22


def test_a_machine_without_a_compiler_is_told_so(monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool: None)
    assert "C++ compiler" in why_not_compile(torch.device("cpu"))
    with pytest.raises(ModelError, match=r"--compile on cpu needs a C\+\+ compiler.*drop --compile"):
        compiled(torch.nn.Identity(), torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_network_gives_the_same_numbers(model: LatentDiffusion) -> None:
    if why_not_compile(torch.device("cpu")):
        pytest.skip("no compiler here")
    fast = load("clevr-mini", "cpu", compile=True)
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    c = model.prompts.embed("a red cube").expand(2)
    assert torch.allclose(fast.predict(z, 300.0, c), model.predict(z, 300.0, c), atol=1e-4)
    assert type(fast.predict.unet).__name__ == "OptimizedModule"

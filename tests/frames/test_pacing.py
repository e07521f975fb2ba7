"""Frames lie where what is seen changes evenly, whatever measures the change, and are as many as were asked for."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.errors import InputError, ModelError
from geodesic_cli.frames import pacing
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.pacing import Features, Pacer, at_equal_parts, eased, evaluations, pacer, spaced
from geodesic_cli.frames.paths import positions

SHAPE = (4, 8, 8)


def unevenness(lengths: Tensor) -> float:
    """Standard deviation of steps over their mean: 0 where they are even."""
    mean = float(lengths.mean())
    return float(lengths.std(correction=0)) / mean if mean > 0 else 0.0


def test_positions_cut_a_known_length_into_equal_parts() -> None:
    # The length travelled at u is u^2: equal parts are at the square roots.
    dense = positions(4001)
    u = at_equal_parts(dense, (dense**2).diff(), 9)
    torch.testing.assert_close(u, positions(9).sqrt(), rtol=1e-6, atol=1e-6)
    assert len(u) == 9 and u[0] == 0 and u[-1] == 1
    assert unevenness((u**2).diff()) < 1e-6 < unevenness((positions(9) ** 2).diff())


def test_a_jump_keeps_its_place_and_the_count_is_exact() -> None:
    lengths = torch.zeros(100, dtype=torch.float64)
    lengths[30] = 5.0
    for frames in (2, 3, 7):
        u = at_equal_parts(positions(101), lengths, frames)
        assert len(u) == frames and bool((u.diff() >= 0).all())
        assert bool(((u[1:-1] >= 0.3) & (u[1:-1] <= 0.31)).all())


def test_a_jump_is_found_whatever_the_number_of_frames_and_gets_looks_of_its_own(model, pair, monkeypatch) -> None:
    # Latents that stand still but for one jump, wherever it is.
    from geodesic_cli.frames.paths import Problem

    ends = embed(model, pair, (), 0.4, 4)
    path = Problem.between(model, ends, bend=0, alpha=None, nodes=5, seed=0).slerp()
    table = path(positions(2001).to(ends.x))
    for jump in (0.03, 0.41, 0.97):
        looked: list[float] = []

        def drop(self, x, *rest, jump=jump, looked=looked):
            u = torch.cdist(x, table).argmin(1) / (len(table) - 1)
            looked += u.tolist()
            return torch.sigmoid((u - jump) * 400)[:, None]

        monkeypatch.setattr(LatentDiffusion, "drop", drop)
        u = spaced(model, ends, path, 17, 12, 1.0, pacer("even", model, SHAPE))
        assert sum(abs(place - jump) < 0.07 for place in looked) >= 9
        assert bool(((u[1:-1] - jump).abs() < 0.05).all()), u


def test_nothing_seen_or_a_measure_that_fails_leaves_equal_steps() -> None:
    for lengths in (torch.zeros(8), torch.full((8,), torch.nan)):
        assert torch.equal(at_equal_parts(positions(9), lengths, 5), positions(5))


def squared_shift(a: Tensor, b: Tensor) -> Tensor:
    """Like LPIPS, of second order in a change."""
    return (a - b).square().flatten(1).mean(1)


def test_a_squared_distance_is_made_a_length_over_the_frames_that_are_seen(model) -> None:
    z = model.codec.encode(torch.linspace(0.2, 0.8, 12)[:, None, None, None].expand(-1, 3, 64, 64)).flatten(1)
    one = pacer("perceptual", model, SHAPE, distance=squared_shift, crop=lambda images: images[..., 8:-8, 8:-8])
    images = model.decode(z, SHAPE)[..., 8:-8, 8:-8]
    expected = (images[1:] - images[:-1]).square().flatten(1).mean(1).sqrt().double()
    torch.testing.assert_close(one.lengths(z), expected, rtol=1e-4, atol=1e-5)
    assert one.name == "lpips" and "a distance" in one.detail
    assert len(one.lengths(z)) == 11, "parts of 8 meet without a gap"


def test_perceptual_takes_the_models_features_where_lpips_is_not_at_hand_and_says_so(model, monkeypatch) -> None:
    def missing(**options: object) -> None:
        raise ModelError("The weights of LPIPS are not here.")

    monkeypatch.setattr(pacing, "lpips", missing)
    one = pacer("perceptual", model, SHAPE)
    assert one.name == "features" and "middle block" in one.detail
    with pytest.raises(ModelError, match="LPIPS"):
        pacer("lpips", model, SHAPE)
    transformer = SimpleNamespace(predict=SimpleNamespace(unet=SimpleNamespace()), device=torch.device("cpu"))
    assert pacer("perceptual", transformer, SHAPE).name == "even", "there is no middle block to look at"
    with pytest.raises(InputError, match="measures of pacing"):
        pacer("evn", model, SHAPE)


def test_features_are_of_unit_length_at_each_place_and_do_not_depend_on_the_batch(model, pair) -> None:
    z = model.encode(torch.cat([pair, pair.flip(3), pair, pair, pair]))
    features = Features(model, SHAPE)
    h = features(z)
    torch.testing.assert_close(h.norm(dim=1), torch.ones(10, dtype=torch.float64))
    torch.testing.assert_close(h[:2], h[4:6], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features(z[1:2])[0], h[1], rtol=1e-4, atol=1e-5)
    lengths = features.lengths(z)
    assert float(lengths[0]) > 0.1, "a cube is no cylinder"
    assert not model.predict.unet.mid_block._forward_hooks


def test_features_are_the_same_where_memory_runs_out_on_the_way(model, pair) -> None:
    def narrow(network, z, times, condition):
        made = model.predict.ask(network, z, times, condition)
        if len(z) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return made

    z = model.encode(torch.cat([pair] * 5))
    chunks = Chunks(free=lambda device: 2**40, notify=lambda message: None)
    short = replace(model, predict=replace(model.predict, ask=narrow, chunks=chunks))
    torch.testing.assert_close(Features(short, SHAPE)(z), Features(model, SHAPE)(z), rtol=1e-4, atol=1e-5)


def test_features_tell_an_object_that_moves_from_noise_that_does_not_matter(model: LatentDiffusion, pair) -> None:
    z = model.encode(pair[:1])
    moved = model.encode(pair[:1].roll(8, 3))
    changed = z + 0.02 * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    features = Features(model, SHAPE)
    far, near = features.lengths(torch.cat([z, moved])), features.lengths(torch.cat([z, changed]))
    assert float(far) > 5 * float(near)


def test_on_the_embedded_model_each_measure_evens_its_own_steps(model, pair) -> None:
    from geodesic_cli.frames.paths import Problem, clean_latents

    ends = embed(model, pair, ("a blue cube", "a yellow cylinder"), 0.4, 4)
    path = Problem.between(model, ends, bend=0, alpha=None, nodes=5, seed=0).slerp()
    for name in ("even", "features"):
        one = pacer(name, model, SHAPE)
        u = spaced(model, ends, path, 9, 4, 1.0, one)
        assert len(u) == 9 and u[0] == 0 and u[-1] == 1 and bool((u.diff() > 0).all())
        before, after = (
            unevenness(one.lengths(clean_latents(model, ends, path, at, 4, 1.0))) for at in (positions(9), u)
        )
        assert after < 0.9 * before, f"{name}: {before:.2f} to {after:.2f}"


@pytest.mark.slow
def test_the_price_of_pacing_is_what_it_says(model, pair) -> None:
    from geodesic_cli.frames.paths import Problem

    ends = embed(model, pair, (), 0.4, 4)
    problem = Problem.between(model, ends, bend=0, alpha=None, nodes=5, seed=0)
    path, asked = problem.slerp(), []
    report = problem.measure(path)
    handle = model.predict.unet.register_forward_pre_hook(lambda module, given: asked.append(len(given[0])))
    try:
        for name in ("even", "features"):
            one: Pacer = pacer(name, model, SHAPE)
            for frames in (3, 4, 17, 200):
                asked.clear()
                spaced(model, ends, path, frames, 4, 1.0, one)
                assert sum(asked) == evaluations(one, frames, 4)
            asked.clear()
            guided = one.along(report)
            spaced(model, ends, path, 17, 4, 1.0, guided)
            assert sum(asked) == evaluations(guided, 17, 4) < evaluations(one, 17, 4)
    finally:
        handle.remove()
    assert evaluations(one, 200, 12) < 3 * evaluations(one, 17, 12), "looks grow more slowly than frames"


def test_easing_is_slow_at_both_ends_and_symmetric() -> None:
    shares = eased(17)
    steps = shares.diff()
    assert shares[0] == 0 and shares[-1] == 1 and torch.allclose(shares + shares.flip(0), torch.ones_like(shares))
    assert bool((steps[:8].diff() > 0).all()) and bool((steps[8:].diff() < 0).all())
    assert float(steps[0]) < 0.2 / 16 and float(steps.max()) > 1.5 / 16
    assert eased(2).tolist() == [0, 1]


def test_eased_frames_are_at_those_shares_of_what_is_measured() -> None:
    dense = positions(201)
    u = at_equal_parts(dense, (dense**2).diff(), 9, eased(9))
    assert torch.allclose(u**2, eased(9), atol=1e-4)


def test_what_is_measured_before_says_where_to_look_first(monkeypatch, model, pair) -> None:
    """A picture that changes in a hundredth of the way, which equal steps of looks would miss twice."""
    from geodesic_cli.frames.paths import Problem

    ends = embed(model, pair, (), 0.4, 4)
    problem = Problem.between(model, ends, bend=0, alpha=None, nodes=5, seed=0)
    steps = torch.zeros(32)
    steps[21] = 1.0
    looked: list[float] = []

    def drop(self, x, shape, condition, tau, steps, guidance):
        return x

    monkeypatch.setattr(LatentDiffusion, "drop", drop)

    class Path:
        method = "slerp"

        def __call__(self, u: Tensor) -> Tensor:
            looked.extend(u.tolist())
            return u[:, None].expand(-1, ends.x.shape[1])

    spaced(model, ends, Path(), 17, 4, 1.0, replace(pacer("even", model, SHAPE), guide=tuple(steps.tolist())))
    assert sum(21 / 32 <= u <= 22 / 32 for u in looked[1:8]) == 7
    assert len(problem.measure(problem.slerp()).denoised) == 32


def test_denoised_pictures_of_a_gaussian_move_as_its_posterior_mean_does(model, pair) -> None:
    """Data N(0, 1): x = a z + sigma n has variance 1, the score is -x, and the mean of z given x is a x."""
    from geodesic_cli.frames.paths import Problem

    ends = embed(model, pair, (), 0.4, 4)
    problem = Problem.between(model, ends, bend=0, alpha=0.0, nodes=5, seed=0, score=lambda x, u: -x)
    line = problem.measure(problem.lerp())
    signal = model.predict.schedule.level(0.4)[0]
    apart = float((ends.x[1] - ends.x[0]).norm())
    assert line.denoised == pytest.approx([signal * apart / 32] * 32)

"""The numbers of one sequence, by a distance that is known by heart."""

import math

import pytest
import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.ruler.catalogue import ALL_NUMBERS, SEQUENCE_NUMBERS
from geodesic_cli.evaluation.ruler.protocols import PROTOCOLS
from geodesic_cli.evaluation.ruler.published import published
from geodesic_cli.evaluation.ruler.sequence_numbers import distance_numbers, ends_of, input_numbers, pixel_numbers
from geodesic_cli.evaluation.ruler.set_numbers import (
    frechet_number,
    frechet_of_draws,
    inner_rows,
    kernel_number,
    middle,
)
from geodesic_cli.settings.evaluate import PROTOCOL_NAMES
from helpers import normal


def gray(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 16, 16).contiguous()


def apart(a: Tensor, b: Tensor) -> Tensor:
    """The absolute difference of gray levels."""
    return (a - b).abs().mean((1, 2, 3))


def test_ppl_pdv_and_the_rest_of_a_known_distance() -> None:
    found = distance_numbers(gray(0.0, 0.1, 0.4, 0.5), apart, "lpips")
    assert found["path_lpips"] == pytest.approx(0.5)
    assert found["ppl_scaled_lpips"] == pytest.approx(1.5)
    assert found["pdv_var_lpips"] == pytest.approx((2 * (1 / 15) ** 2 + (2 / 15) ** 2) / 3)
    assert found["pdv_std_lpips"] == pytest.approx(math.sqrt((2 * (1 / 15) ** 2 + (2 / 15) ** 2) / 2))
    assert found["jump_mean_lpips"] == pytest.approx(0.3 / (0.5 / 3))
    assert found["jump_ends_lpips"] == pytest.approx(0.6)
    assert found["ends_lpips"] == pytest.approx(0.1)
    assert found["triangle_lpips"] == pytest.approx(0, abs=1e-6)
    assert "ppl_scaled_pyramid" not in distance_numbers(gray(0, 0.5, 1), apart, "pyramid")


def test_a_detour_is_the_way_round_over_the_farthest_frame() -> None:
    assert distance_numbers(gray(0.2, 0.8, 0.4), apart, "lpips")["triangle_lpips"] == pytest.approx(1.0 / 0.2 - 1)


def test_ends_that_are_the_same_have_no_share_and_two_frames_are_no_path() -> None:
    assert math.isnan(distance_numbers(gray(0.1, 0.5, 0.1), apart, "lpips")["jump_ends_lpips"])
    with pytest.raises(InputError, match="three frames"):
        distance_numbers(gray(0, 1), apart, "lpips")


def test_flicker_and_smoothness_of_gray_frames() -> None:
    found = pixel_numbers(gray(0.0, 0.5, 0.6, 0.8))
    assert found["flicker"] == pytest.approx(1 - (0.5 + 0.1 + 0.2) / 3)
    assert found["smoothness_neighbours"] == pytest.approx(1 - abs(0.5 - 0.3))
    assert pixel_numbers(gray(0, 0.25, 0.5, 0.75, 1))["smoothness_neighbours"] == pytest.approx(1)


def test_ends_are_given_drawn_or_not_known() -> None:
    frames = gray(0.0, 0.5, 1.0)
    assert ends_of(frames, None) == "not known"
    assert ends_of(frames, frames[[0, 2]] + 1 / 255) == "given"
    assert ends_of(frames, frames[[0, 2]] + 3 / 255) == "drawn"
    numbers = input_numbers(frames, frames[[0, 2]] + 0.1, {"pyramid": apart})
    assert numbers["re_mse"] == pytest.approx(0.01) and numbers["re_psnr"] == pytest.approx(20)
    assert numbers["re_pyramid"] == pytest.approx(0.1)
    assert "re_psnr" not in input_numbers(frames, frames[[0, 2]], {})


def test_every_protocol_names_known_numbers_and_has_a_digest_of_its_own() -> None:
    assert tuple(PROTOCOLS) == PROTOCOL_NAMES
    assert all(key in ALL_NUMBERS for protocol in PROTOCOLS.values() for key in protocol.numbers)
    assert len({protocol.digest for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)
    assert not any(word in key for key in PROTOCOLS["offline"].numbers for word in ("lpips", "fid", "kid", "topiq"))
    assert len({about.name for about in SEQUENCE_NUMBERS.values()}) == len(SEQUENCE_NUMBERS)


def test_published_numbers_stay_with_their_protocol() -> None:
    own = {row.method: row.values for row in published("diffmorpher")}
    assert own["DiffMorpher"]["FID"] == 54.69
    assert {row.method: row.values for row in published("freemorph")}["DiffMorpher"]["FID"] == 157.18
    assert all(row.source and row.second_hand for row in published("freemorph"))
    assert published("offline") == ()


def test_the_distances_of_sets_say_what_they_are_of() -> None:
    sequences, inputs = [normal(6, 3, seed=s) for s in range(4)], normal(8, 3, seed=9)
    assert len(inner_rows(sequences)) == 16 and torch.equal(middle(sequences)[1], sequences[1][3])
    draws = frechet_of_draws(sequences, inputs, seed=0)
    assert (draws.images, draws.inputs) == (8, 8) and draws.spread is not None and draws.spread > 0
    assert frechet_of_draws(sequences, inputs, seed=0) == draws
    assert "too few" in frechet_number(normal(3, 5), normal(9, 5)).caution
    assert kernel_number(inner_rows(sequences), inputs, 0) == kernel_number(inner_rows(sequences), inputs, 0)

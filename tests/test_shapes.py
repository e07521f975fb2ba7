"""The shapes on the signatures of geometry and distortion are checked while the tests run."""

import pytest
import torch
from jaxtyping import TypeCheckError

from geodesic_cli.distortion.derivatives import squares
from geodesic_cli.geometry import Euclidean, Scaled, Seen, linalg
from geodesic_cli.geometry.toys import Radial
from helpers import normal


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: linalg.slerp(normal(3), normal(4), normal(2)),
        lambda: Euclidean().tangent(normal(5, 3), normal(4, 3)),
        lambda: Radial(1.0)(normal(5, 3), normal(4)),
        lambda: Seen(normal(5, 3), normal(5), normal(5, 2)),
        lambda: squares(torch.ones(3, 2, dtype=torch.long)),
    ],
    ids=["points", "rows", "positions", "a record", "a dtype"],
)
def test_a_wrong_shape_is_refused(wrong):
    with pytest.raises(TypeCheckError, match="problem arose whilst typechecking"):
        wrong()


def test_a_wrong_result_is_refused():
    flat = Scaled(lambda x, u: x[:, :2], 2.0)
    with pytest.raises(TypeCheckError, match="return value"):
        flat(normal(5, 3), normal(5))

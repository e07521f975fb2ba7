"""The span that a survey works in: it holds all that was seen, and only grows."""

import torch

from geodesic_cli.geometry.kernel.surveyed import spanned, surveyed
from geodesic_cli.geometry.seen import Seen
from helpers import normal


def test_a_basis_holds_the_rows_however_different_their_sizes_and_only_grows():
    rows = torch.cat([normal(3, 50), 1e-7 * normal(2, 50, seed=1), torch.zeros(1, 50, dtype=torch.float64)])
    rows = torch.cat([rows, rows[:2] + rows[1:3]])
    basis = spanned(rows[:0], rows)
    assert basis.shape == (5, 50)
    torch.testing.assert_close(basis @ basis.T, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(rows @ basis.T @ basis, rows, rtol=0, atol=1e-13)
    nearly = rows[:1] + 1e-9 * normal(1, 50, seed=2)
    more = spanned(basis, torch.cat([rows, nearly]))
    assert torch.equal(more[:5], basis) and more.shape == (6, 50)
    torch.testing.assert_close(more @ more.T, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(nearly @ more.T @ more, nearly, rtol=0, atol=1e-13)
    assert spanned(more, rows) is more or torch.equal(spanned(more, rows), more), "nothing new is nothing more"
    assert spanned(rows[:0], normal(80, 50)).shape == (50, 50)


def test_what_was_seen_is_kept_in_coordinates_and_the_newest_of_it():
    x, u = normal(9, 40), torch.linspace(0, 1, 9, dtype=torch.float64)
    first = Seen(normal(4, 40, seed=3), u[:4], normal(4, 40, seed=4))
    before = surveyed(x, first, False, 1.0)
    then = Seen(before.inside[:4] + before.inside[1:5], u[:4], normal(4, 40, seed=6))
    state = before.knowing(then, 6)
    both = first.and_also(Seen(then.x @ before.basis, then.u, then.scores)).last(6)
    torch.testing.assert_close(state.seen.x @ state.basis, both.x)
    torch.testing.assert_close(state.seen.scores @ state.basis, both.scores)
    torch.testing.assert_close(state.inside @ state.basis, x)
    assert state.basis.shape == (21, 40)

"""Scores that were evaluated (`Seen`), and a score that is asked for once at each point: what was seen is answered from
memory, bit for bit (`Remembered`).

A search, several solvers and the measurement of their paths meet at the same points: the ends, the nodes of a graph,
those of a path before and after. Points count as the same if all their bits are; a digest of the bits stands for them,
as a point may have a hundred thousand bytes.
"""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from geodesic_cli.geometry.density import Score
from geodesic_cli.geometry.space import Positions, Rows


@dataclass(frozen=True, eq=False)
class Seen:
    """Scores that were evaluated: at points x (m, d), positions u (m,), scores (m, d)."""

    x: Float[Tensor, "m d"]
    u: Float[Tensor, "m"]
    scores: Float[Tensor, "m d"]

    def and_also(self, other: "Seen") -> "Seen":
        """These, then those."""
        return Seen(*(torch.cat(pair) for pair in zip(_parts(self), _parts(other), strict=True)))

    def on_cpu(self) -> "Seen":
        """The same in float64 on the CPU, without a graph: as a kernel model takes them."""
        return Seen(*(part.detach().to("cpu", torch.float64) for part in _parts(self)))

    def last(self, count: int) -> "Seen":
        """The newest of them."""
        return Seen(*(part[-count:] for part in _parts(self)))


def _parts(seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
    return seen.x, seen.u, seen.scores


class Remembered:
    """A score with a memory.

    Args:
        score: the score, a function of its input.
        varying: whether it depends on the position u; if not, a point is known whatever its position.
    """

    def __init__(self, score: Score, *, varying: bool = True) -> None:
        self.score = score
        self.varying = varying
        self.calls = 0
        """Evaluations of the score at single points."""
        self._known: dict[bytes, Tensor] = {}

    def __call__(self, x: Rows, u: Positions) -> Rows:
        """Evaluate at n points, in one batch where a point is new, and otherwise for nothing."""
        keys = self._keys(x, u)
        new = {key: row for row, key in enumerate(keys) if key not in self._known}
        if new:
            rows = torch.tensor(list(new.values()), device=x.device)
            self.calls += len(rows)
            self.learn(x[rows], u[rows], self.score(x[rows], u[rows]))
        return torch.stack([self._known[key] for key in keys]) if keys else torch.empty_like(x)

    def learn(self, x: Rows, u: Positions, scores: Rows) -> None:
        """Take over scores (n, d) at (n, d), (n,) that are known from elsewhere."""
        self._known.update(zip(self._keys(x, u), scores, strict=True))

    def seen(self, x: Rows, u: Positions) -> Seen:
        """The scores at points (n, d), (n,) as a kernel model takes them; new ones are asked for."""
        return Seen(x, u, self(x, u)).on_cpu()

    def _keys(self, x: Tensor, u: Tensor) -> list[bytes]:
        points = torch.cat([x, u[:, None].to(x.dtype)], dim=1) if self.varying else x
        rows = points.detach().cpu().contiguous().numpy()
        return [hashlib.blake2b(row, digest_size=16).digest() for row in rows]

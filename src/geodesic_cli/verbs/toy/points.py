"""A file of points in the plane, and the Gaussian mixture that explains them best.

The mixture has round components, p(x) = sum_k w_k N(x; m_k, s_k² I), fitted by expectation maximisation. With k of
them there are 4 k - 1 free numbers, and of k = 1, 2, ... the one is taken that has the least

    BIC = -2 log likelihood + (4 k - 1) log n,

so a component must earn its four numbers. The fit is done in units of the points' own spread, their root mean square
distance from the centre along a coordinate.

Far from all points the fit is a guess, and a bad one: where the nearest component changes the score has a kink, and
log p falls to tens of nats for lack of a point. So the result is smoothed by a Gaussian of deviation `SOFTENING`, as
noise smooths the density of images: every s_k² grows by SOFTENING². This also bounds the density where points repeat.
"""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError

import numpy as np
import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError

FEWEST = 10
"""Points that a density takes."""
MOST = 5_000
"""Of more points than these a seeded sample is fitted."""
SOFTENING = 0.15
"""Deviation of the Gaussian that smooths the fit, in units of the points' spread."""
STARTS, EM_STEPS, EM_GAIN = 5, 200, 1e-4
"""Starts of the fit with each number of components, steps from each at most, and the gain in nats at which it ends."""
LEAST_VARIANCE = 1e-6
"""Added to that of every component, so that none closes in on a single point."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """A Gaussian mixture with round components, smoothed.

    Args:
        means: (m, 2).
        scales: (m,), the standard deviation of a coordinate.
        weights: (m,), positive, with sum 1.
        bic: for 1, 2, ... components, up to the last that was tried.
    """

    means: Tensor
    scales: Tensor
    weights: Tensor
    bic: tuple[float, ...]


def read_points(path: str | Path) -> Tensor:
    """The points of a .csv, .txt or .npy file with two columns, (n, 2), float64.

    In text, numbers are apart by commas, semicolons or blanks; the first line may be a heading; # begins a remark.

    Raises:
        InputError: a file that is missing, of another kind or with fewer points than `FEWEST`, or a value that is not
            a finite number.
    """
    path = Path(path)
    readers = {".csv": _read_text, ".txt": _read_text, ".npy": _read_npy}
    if path.suffix.lower() not in readers:
        raise InputError(f"Points are read from .csv, .txt and .npy files, not from {path}.", "Convert the file.")
    try:
        points = readers[path.suffix.lower()](path)
    except FileNotFoundError as error:
        raise InputError(f"A file of points is needed, and {path} does not exist.", "Check the path.") from error
    except OSError as error:
        raise InputError(
            f"A file of points is needed, and {path} cannot be read ({error.strerror or error}).", "Check the path."
        ) from error
    if points.ndim != 2 or points.shape[1] != 2:
        shape = f"{points.shape[1]} column{'s' * (points.shape[1] != 1)}" if points.ndim == 2 else f"{points.ndim} axes"
        raise InputError(f"Points in the plane have two columns, X and Y; {path} has {shape}.", "Pass two columns.")
    if len(points) < FEWEST:
        raise InputError(f"A density takes at least {FEWEST} points; {path} has {len(points)}.", "Pass more points.")
    bad = np.flatnonzero(~np.isfinite(points).all(1))
    if len(bad):
        raise InputError(
            f"Points must be finite numbers; {path} has {len(bad)} that are not, the first is number {bad[0] + 1}.",
            "Remove them.",
        )
    return torch.from_numpy(points)


NO_ARRAY = (
    *(ValueError, EOFError, SyntaxError, TokenError, RecursionError, MemoryError, OverflowError, TypeError),
    *(KeyError, AttributeError, IndexError),
)
"""What numpy and the readers of Python that it uses raise at a header that is none."""


def _read_npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            raise ValueError("it holds no real numbers")
    except NO_ARRAY as error:
        raise InputError(
            f"An array of numbers is needed, and {path} is none ({error}).", "Write it with numpy.save."
        ) from error
    return array.astype(np.float64)


def _read_text(path: Path) -> np.ndarray:
    try:
        lines = media.read_text(path).splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"A text file of points is needed, and {path} is no text.", "Export it as CSV.") from error
    rows: list[list[float]] = []
    heading = True
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            rows.append([float(part) for part in re.split(r"\s*[,;]\s*|\s+", text)])
        except ValueError as error:
            if not heading:
                raise InputError(
                    f"Points are rows of numbers; line {number} of {path} is {text[:40]!r}.", "Mend or remove it."
                ) from error
        heading = False
        if rows and len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"Points have as many columns in every line; line {number} of {path} has {len(rows[-1])}, "
                f"those before have {len(rows[0])}.",
                "Mend or remove it.",
            )
    return np.array(rows, np.float64) if rows else np.empty((0, 2))


def fit_mixture(points: Tensor, most: int, seed: int) -> Mixture:
    """The mixture of 1 to ``most`` round Gaussians with the least BIC for points (n, 2).

    Raises:
        InputError: all the points are the same.
    """
    centre = points.mean(0)
    spread = float((points - centre).square().mean().sqrt())
    if not spread > 1e-12 * float(points.abs().max()) or not math.isfinite(spread):
        raise InputError("A density takes points that differ; these are all the same.", "Pass other points.")
    data = ((points - centre) / spread).numpy()
    chance = np.random.default_rng(seed)
    if len(data) > MOST:
        data = chance.choice(data, MOST, replace=False)
    fits: list[_Fit] = []
    bic: list[float] = []
    for count in range(1, min(most, len(data) // 4) + 1):
        fits.append(max((_fit(data, count, chance) for _ in range(STARTS)), key=lambda fit: fit.likelihood))
        bic.append((4 * count - 1) * math.log(len(data)) - 2 * len(data) * fits[-1].likelihood)
        if count > bic.index(min(bic)) + 6:  # five more components in vain: it will not get better
            break
    best = fits[bic.index(min(bic))]
    used = best.weights > 1e-6  # a component that explains nothing
    return Mixture(
        means=centre + spread * torch.from_numpy(best.means[used]),
        scales=spread * (torch.from_numpy(best.variances[used]) + SOFTENING**2).sqrt(),
        weights=torch.from_numpy(best.weights[used] / best.weights[used].sum()),
        bic=tuple(bic),
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """Means (k, 2), variances (k,) and weights (k,) of a mixture, and the mean log likelihood of a point."""

    means: np.ndarray
    variances: np.ndarray
    weights: np.ndarray
    likelihood: float


def _fit(data: np.ndarray, count: int, chance: np.random.Generator) -> _Fit:
    """Expectation maximisation for points (n, 2) from one start."""
    share = np.eye(count)[_clusters(data, count, chance)]
    fit = _maximised(data, share, -math.inf)
    for _ in range(EM_STEPS):
        distance = ((data[:, None] - fit.means) ** 2).sum(2)
        terms = np.log(fit.weights / (2 * math.pi * fit.variances)) - distance / (2 * fit.variances)
        top = terms.max(1, keepdims=True)
        parts = np.exp(terms - top)
        total = parts.sum(1, keepdims=True)
        likelihood = float((top + np.log(total)).mean())
        if likelihood - fit.likelihood < EM_GAIN:
            return replace(fit, likelihood=likelihood)
        fit = _maximised(data, parts / total, likelihood)
    return fit


def _maximised(data: np.ndarray, share: np.ndarray, likelihood: float) -> _Fit:
    """The mixture for which points (n, 2) belong to components by these shares (n, k)."""
    mass = share.sum(0) + 1e-12
    means = share.T @ data / mass[:, None]
    variances = (share * ((data[:, None] - means) ** 2).sum(2)).sum(0) / (2 * mass) + LEAST_VARIANCE
    return _Fit(means, variances, mass / mass.sum(), likelihood)


def _clusters(data: np.ndarray, count: int, chance: np.random.Generator) -> np.ndarray:
    """The cluster (n,) of each point: centres drawn far apart (k-means++), then moved to the means of their points."""
    centres = data[chance.integers(len(data))][None]
    while len(centres) < count:
        nearest = ((data[:, None] - centres) ** 2).sum(2).min(1)
        total = nearest.sum()
        chances = nearest / total if total > 0 else None  # fewer places than centres
        centres = np.concatenate([centres, data[chance.choice(len(data), p=chances)][None]])
    for _ in range(10):
        of = ((data[:, None] - centres) ** 2).sum(2).argmin(1)
        centres = np.stack([data[of == k].mean(0) if (of == k).any() else centres[k] for k in range(count)])
    return ((data[:, None] - centres) ** 2).sum(2).argmin(1)

"""A file of points becomes a density: a bad file is one sentence, a good one gives back its Gaussians."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from geodesic_cli.errors import InputError
from geodesic_cli.verbs.toy.points import SOFTENING, fit_mixture, read_points
from helpers import normal

GOOD = "\n".join(f"{k},{k * k}" for k in range(12))


def written(path: Path, content: str | bytes | np.ndarray) -> Path:
    if isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", GOOD),
        ("a.csv", "x,y\n" + GOOD),
        ("a.csv", "\ufeff" + GOOD.replace(",", "; ") + "\n\n"),
        ("a.TXT", "# measured\n" + GOOD.replace(",", "   ")),
        ("a.txt", GOOD.replace(",", "\t").replace("\n", "  # a remark\r\n")),
        ("a.npy", np.array([[k, k * k] for k in range(12)])),
        ("a.npy", np.array([[k, k * k] for k in range(12)], np.float32)),
    ],
)
def test_points_are_read_from_text_and_arrays(tmp_path: Path, name: str, content: str | np.ndarray) -> None:
    points = read_points(written(tmp_path / name, content))
    assert points.dtype == torch.float64
    assert points.tolist() == [[k, k * k] for k in range(12)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "\n".join("1" for _ in range(12)), "has 1 column. Pass two columns."),
        ("a.csv", "\n".join("1,2,3" for _ in range(12)), "has 3 columns."),
        ("a.csv", "1,2\n3,4", "at least 10 points; "),
        ("a.csv", "", "has 0."),
        ("a.csv", GOOD + "\nnan,1", "has 1 that are not, the first is number 13."),
        ("a.csv", GOOD + "\n1,inf", "the first is number 13."),
        ("a.csv", GOOD + "\none,two", "line 13 of "),
        ("a.csv", GOOD + "\n1,2,3", "line 13 of "),
        ("a.csv", b"\xff\xfe\x00", "is no text."),
        ("a.npy", b"dear diary", "is none ("),
        ("a.npy", b"", "is none ("),
        ("a.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': ('<f8'\n" + bytes(160), "is none ("),
        ("a.npy", np.zeros(12), "has 1 axes."),
        ("a.npy", np.zeros((12, 2), complex), "no real numbers"),
        ("a.npy", np.array([{"a": 1}] * 12), "allow_pickle=False"),
        ("a.png", GOOD, "from .csv, .txt and .npy files"),
    ],
)
def test_a_file_that_holds_no_points_is_one_sentence(
    tmp_path: Path, name: str, content: str | bytes | np.ndarray, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_points(written(tmp_path / name, content))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.csv does not exist\. Check the path\."):
        read_points(tmp_path / "no.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_points(tmp_path / "folder.csv")


def test_the_fit_finds_the_gaussians_that_points_were_drawn_from() -> None:
    centres = torch.tensor([[-30.0, 0.0], [10.0, 20.0], [20.0, -10.0]], dtype=torch.float64)
    points = torch.cat([centre + 1.5 * normal(300, 2, seed=k) for k, centre in enumerate(centres)])
    fit = fit_mixture(points, most=10, seed=0)
    assert fit.bic.index(min(fit.bic)) == 2
    order = fit.means[:, 0].argsort()
    assert float((fit.means[order] - centres).abs().max()) < 0.3
    spread = float((points - points.mean(0)).square().mean().sqrt())
    assert fit.scales.tolist() == pytest.approx([(1.5**2 + (SOFTENING * spread) ** 2) ** 0.5] * 3, rel=0.05)
    assert fit.weights.tolist() == pytest.approx([1 / 3] * 3, rel=1e-3)


def test_the_fit_turns_and_grows_with_the_points_and_repeats_itself() -> None:
    points = torch.cat([normal(80, 2), normal(80, 2, seed=1) + 6])
    fit, again, grown = (fit_mixture(p, most=4, seed=3) for p in (points, points, 1000 * points + 5))
    assert torch.equal(fit.means, again.means)
    torch.testing.assert_close(grown.means, 1000 * fit.means + 5, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(grown.scales, 1000 * fit.scales, rtol=1e-6, atol=1e-6)


def test_repeated_points_make_no_spike_and_equal_points_are_refused() -> None:
    repeated = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64).repeat(20, 1)
    assert float(fit_mixture(repeated, most=8, seed=0).scales.min()) > 0.01
    with pytest.raises(InputError, match="all the same"):
        fit_mixture(torch.ones(20, 2, dtype=torch.float64), most=8, seed=0)


def test_many_points_are_sampled() -> None:
    fit = fit_mixture(normal(20_000, 2), most=2, seed=0)
    assert float(fit.means.norm(dim=1).max()) < 2


def test_the_fit_is_as_likely_as_that_of_scikit_learn() -> None:
    mixture = pytest.importorskip("sklearn.mixture")
    centres = torch.tensor([[0.0, 0.0], [2.5, 0.0], [0.0, 2.5], [3.0, 3.0]], dtype=torch.float64)
    points = torch.cat([centre + (0.4 + 0.2 * k) * normal(120, 2, seed=k) for k, centre in enumerate(centres)])
    fit = fit_mixture(points, most=6, seed=0)
    data = ((points - points.mean(0)) / (points - points.mean(0)).square().mean().sqrt()).numpy()
    for count, bic in enumerate(fit.bic, 1):
        theirs = mixture.GaussianMixture(count, covariance_type="spherical", random_state=0, n_init=3, max_iter=1000)
        assert bic <= theirs.fit(data).bic(data) + 0.02 * len(data)


def test_no_extra_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)  # as where it is not installed
    assert fit_mixture(normal(40, 2), most=3, seed=0).weights.sum() == pytest.approx(1)

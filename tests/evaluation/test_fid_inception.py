"""The Inception of published FIDs: the file's layout, and what its three differences from the later network do."""

from pathlib import Path

import pytest
import torch

from geodesic_cli.errors import ModelError
from geodesic_cli.evaluation import frechet
from geodesic_cli.evaluation.fid_inception import FidInception, fid_features
from geodesic_cli.evaluation.resizing import resized_clean, resized_plain
from geodesic_cli.evaluation.ruler.needs import INCEPTION_FILE


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network as pytorch-fid's file has it, with its classifier."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / INCEPTION_FILE
    state = FidInception().state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(state, path)  # noqa: TID251  as others write it
    return path


def test_the_file_has_the_names_and_the_size_of_the_published_network(weights: Path) -> None:
    names = FidInception().state_dict()
    assert len(names) == 94 * 6  # 94 convolutions, each with a norm of five tensors
    assert sum(weight.numel() for weight in FidInception().parameters()) == 21_785_568  # without its classifier


@pytest.mark.slow
def test_a_set_is_at_distance_zero_from_itself_and_the_two_rules_of_resizing_differ(weights: Path) -> None:
    images = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    plain, clean = (fid_features(weights, rule)(images) for rule in (resized_plain, resized_clean))
    assert plain.shape == (3, 2048)
    assert frechet(plain, plain).value == pytest.approx(0, abs=1e-6)
    assert not torch.allclose(plain, clean)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / INCEPTION_FILE).write_bytes(b"no weights")
    with pytest.raises(ModelError, match="is damaged"):
        fid_features(tmp_path / INCEPTION_FILE, resized_plain)

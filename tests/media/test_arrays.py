"""Whatever a Python user calls an image becomes the same tensor, and what is none gets one sentence."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError

BYTES = torch.randint(0, 256, (3, 9, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
UNIT = BYTES.float() / 255
HWC = BYTES.movedim(0, -1).contiguous().numpy()


@pytest.mark.parametrize(
    "given",
    [
        UNIT,
        UNIT.double().requires_grad_(),
        BYTES,
        UNIT.movedim(0, -1),
        HWC,
        HWC.astype(np.float32) / 255,
        HWC.astype(np.float64) / 255,
        HWC.astype(np.uint16) * 257,
        HWC.astype(">u2") * 257,
        HWC[::-1][::-1],
        UNIT.numpy(),
        np.concatenate([HWC, np.full((9, 12, 1), 255, np.uint8)], 2),
        torch.cat([UNIT, torch.ones(1, 9, 12)]),
        Image.fromarray(HWC),
        Image.fromarray(HWC).convert("RGBA"),
    ],
    ids=lambda given: f"{type(given).__name__}-{getattr(given, 'dtype', '')}-{getattr(given, 'shape', '')}",
)
def test_one_image_in_many_forms_is_one_tensor(given: object) -> None:
    (found,) = media.pictures(given)
    assert isinstance(found, Tensor) and found.dtype == torch.float32 and not found.requires_grad
    torch.testing.assert_close(found, UNIT, rtol=0, atol=1e-6)


def test_gray_has_three_channels_and_what_is_transparent_is_white() -> None:
    gray = UNIT[0]
    for given in (gray, gray[None], gray.numpy(), gray[..., None].numpy(), Image.fromarray(HWC[..., 0])):
        torch.testing.assert_close(media.pictures(given)[0], gray.expand(3, -1, -1), rtol=0, atol=1e-6)
    clear = torch.cat([torch.zeros(3, 9, 12), torch.full((1, 9, 12), 0.25)])
    torch.testing.assert_close(media.pictures(clear)[0], torch.full((3, 9, 12), 0.75))


def test_batches_and_sequences_are_taken_apart_in_their_order() -> None:
    batch = torch.stack([UNIT, 1 - UNIT])
    mixed = [batch, HWC, "a.png", (Image.fromarray(HWC), np.stack([HWC, HWC]))]
    found = media.pictures(mixed)
    assert len(found) == 7 and found[3] == "a.png"
    torch.testing.assert_close(found[1], 1 - UNIT)
    assert all(isinstance(one, Tensor) and one.shape == (3, 9, 12) for one in (*found[:3], *found[4:]))
    assert len(media.pictures(batch.movedim(1, -1).numpy())) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "got None"),
        (3, "type int"),
        ({"a": 1}, "type dict"),
        (b"png", "type bytes"),
        (255 * UNIT, "from .* to 25.*Divide them by 255"),
        (2 * UNIT - 1, r"Pass \(x \+ 1\) / 2"),
        (1000 * UNIT, "Bring them there"),
        (UNIT.log() * 0 + float("nan"), "NaN or infinity"),
        (BYTES.long(), "got torch.int64"),
        (HWC.astype(bool), "got bool"),
        (np.array(["a"]), "got <U1"),
        (torch.rand(2, 9, 12), r"got \(2, 9, 12\)"),
        (torch.rand(9), r"got \(9,\)"),
        (torch.rand(1, 1, 3, 9, 12), "one more dimension"),
        (torch.empty(0, 3, 9, 12), "holds none"),
        (torch.rand(3, 4, 12), "12x4"),
        (Image.new("RGB", (4, 12)), "4x12"),
    ],
)
def test_what_is_no_image_gets_one_sentence(given: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        media.pictures([given])
    assert "\n" not in str(caught.value)

"""Images of which something is known, for linear separability: rendered scenes, or files with labels of any kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.layouts import labelled_images
from geodesic_cli.scenes import MIDDLE, Scene, render
from geodesic_cli.settings import IsometrySettings


@dataclass(frozen=True, eq=False)
class KnownImages:
    """What a hyperplane in noise is asked of images.

    Args:
        labels: for each attribute whole numbers (n,).
        draw: some of the images, by their numbers and their side in pixels, (m, 3, side, side).
        embed: what a model is told of them.
        what: `scenes` or `images`.
    """

    labels: dict[str, Tensor]
    draw: Callable[[range, int], Tensor]
    embed: Callable[[LatentDiffusion, range], Embedding]
    what: str

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(next(iter(self.labels.values())))


def known_scenes(scenes: Sequence[Scene]) -> KnownImages:
    """Right or left, far or near, large or small, and what the solid of a scene is."""
    solids = [scene.solids[0] for scene in scenes]
    found = {name: [int(getattr(solid, name) > MIDDLE[name]) for solid in solids] for name in ("x", "y", "size")}
    found["metal"] = [int(solid.material == "metal") for solid in solids]
    for shape in ("sphere", "cube"):
        found[shape] = [int(solid.shape == shape) for solid in solids]

    def draw(rows: range, side: int) -> Tensor:
        return render([scenes[k] for k in rows], side)

    def embed(model: LatentDiffusion, rows: range) -> Embedding:
        return embedded_scenes(model, [scenes[k] for k in rows])

    return KnownImages({name: torch.tensor(values) for name, values in found.items()}, draw, embed, "scenes")


def known_files(settings: IsometrySettings) -> KnownImages:
    """The files that the settings name, at most as many as they say, drawn with their seed.

    Raises:
        InputError: there are none.
    """
    s, found = settings, labelled_images(str(settings.labels))
    order = torch.randperm(len(found.files), generator=torch.Generator().manual_seed(s.seed))[: s.labelled]
    chosen = sorted(order.tolist())
    labels = {}
    for name, words in found.labels.items():
        kinds = {word: k for k, word in enumerate(sorted(set(words)))}
        labels[name] = torch.tensor([kinds[words[k]] for k in chosen])

    def draw(rows: range, side: int) -> Tensor:
        return torch.stack([media.read_image(found.files[chosen[k]], size=(side, side)) for k in rows])

    def embed(model: LatentDiffusion, rows: range) -> Embedding:
        return Embedding.cat([model.prompts.embed(prompt) for prompt in prompts_of(s, len(rows))])

    return KnownImages(labels, draw, embed, "images")


def prompts_of(settings: IsometrySettings, count: int) -> list[str]:
    """So many prompts, those of the settings in turns."""
    return list(islice(cycle(settings.prompt or ("",)), count))


def embedded_scenes(model: LatentDiffusion, scenes: Sequence[Scene]) -> Embedding:
    """Captions; a model without text is told nothing."""
    speaks = bool(model.prompts.encoders)
    return Embedding.cat([model.prompts.embed(scene.caption if speaks else "") for scene in scenes])

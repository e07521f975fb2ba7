"""`geodesic invert`: images to noise and back, and how much of them and of the noise survives.

    read -> encode -> up to tau -> down -> decode -> sheet and numbers

Images go in groups, and each group is on disk as soon as it is done, so that a stopped run can be resumed.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding
from geodesic_cli.evaluation import Distance, Normality, normality, why_not_noise
from geodesic_cli.evaluation.likeness import likeness, perceptual_distance, summary
from geodesic_cli.frames.canvas import fit, image_names, read_images
from geodesic_cli.frames.journey import Journey, Reconstruction, conditions, reconstruct
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job, RunResult, in_memory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.settings import InvertSettings
from geodesic_cli.settings.shared import PAD, ground_of

GROUP = 16
"""Images that are carried together, and lost at most when a run is stopped."""
LOOKS_SAME, LOOKS_ALIKE = 40.0, 30.0
"""dB. From here on two pictures look the same, or nearly so."""
CAN_DRAW = 20.0
"""dB. What comes back from the autoencoder worse than this is no picture that the model can draw."""
IMAGES_SHOWN = 12
"""Images on the sheet: the first ones."""


@dataclass(frozen=True, eq=False, repr=False)
class Inversion(RunResult):
    """The result of an inversion.

    Args:
        images: (n, 3, h, w), what was inverted, at the size of the run.
        shape: (C, H, W) of a latent.
        made: the noise, the reconstructions and what the autoencoder alone makes of the images.
    """

    images: Tensor
    shape: tuple[int, int, int]
    made: Reconstruction

    @property
    def noise(self) -> Tensor:
        """(n, d), the images at noise level tau."""
        return self.made.x

    @property
    def pictures(self) -> Tensor:
        """What came back."""
        return self.made.back

    def _page(self) -> Tensor:
        return inversion_sheet(self, self.settings.amplify)


@called_from_python(InvertSettings)
def invert(
    *images: media.Picture | Sequence[media.Picture],
    model: AnyModel = "clevr-mini",
    observer: Observer | None = None,
    **options: Any,
) -> Inversion:
    """Invert images in memory; nothing is written.

    Args:
        images: files, PIL images, numpy arrays (h, w, 3) or tensors (3, h, w), with floating-point values in [0, 1] or
            whole numbers; or a batch of them.
        options: any setting of `settings.InvertSettings` but images, out, resume and overwrite.
    """
    given = media.pictures(images)
    return run(in_memory(InvertSettings, "invert", model, options, observer, images=image_names(given)), given)


def run(job: Job[InvertSettings], given: Sequence[str | Path | Tensor] = ()) -> Inversion:
    """Invert what the settings name, or the images given in its place. See the module's text and `InvertSettings`."""
    s = job.settings
    ground = ground_of(s.background)
    read = read_images(given or s.images, job.observer, s.size, ground)
    model = job.load_model()
    # All that may be refused comes before the folder is touched.
    images, canvas = fit(read, s.images, s.size, model, job.observer, whole_on=ground if s.fit == PAD else None)
    condition = conditions(model, s.prompt, len(images))
    key, distance = perceptual_distance(s.lpips, s.metric_weights, str(model.device), job.observer.warn)
    journey = Journey(model, canvas, s.tau, s.steps, s.guidance, s.scheme)
    with job.in_folder(stem(s)) as job:
        return _Work(**vars(job), journey=journey).run(images, condition, {key: distance})


def stem(settings: InvertSettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"invert-{Path(settings.images[0]).stem}" if settings.images else "invert"


@dataclass(frozen=True, eq=False, kw_only=True)
class _Work(Job[InvertSettings]):
    journey: Journey

    def run(self, images: Tensor, condition: Embedding, distances: dict[str, Distance]) -> Inversion:
        began = time.monotonic()
        s, shape = self.settings, self.journey.shape
        made, evaluations = self._reconstructed(images, condition)
        metrics = {
            "images": list(s.images),
            **{name: getattr(s, name) for name in ("tau", "steps", "scheme", "guidance")},
            "size": f"{images.shape[3]}x{images.shape[2]}",
            "dimension": made.x.shape[1],
            "perceptual": {key: getattr(distance, "name", key) for key, distance in distances.items()},
            **inversion_metrics(images, made, shape, distances),
            "evaluations": evaluations,
            "seconds": round(time.monotonic() - began, 3),
        }
        if s.tau == 1:
            warn_of_structure(made.x, shape, s.images, self.observer)
        status = survival(metrics["transport"]["psnr"]["mean"], metrics["autoencoder"]["psnr"]["mean"], s)
        result = Inversion(images, shape, made, metrics=metrics, status=status)
        if self.directory is not None:
            self._write(self.directory, result)
        return self.done(result, evaluations)

    def _reconstructed(self, images: Tensor, condition: Embedding) -> tuple[Reconstruction, int]:
        each = sum(self.journey.evaluations)
        self.observer.stage("Inverting", each * len(images))
        parts = []
        for first in range(0, len(images), GROUP):
            rows = slice(first, first + GROUP)
            parts.append(self._group(images[rows], condition[rows], f"checkpoint/{first:05d}.safetensors"))
            self.observer.advance(each * len(images[rows]))
        whole = {name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])}
        return Reconstruction(**whole), each * len(images)

    def _group(self, images: Tensor, condition: Embedding, name: str) -> Reconstruction:
        """One group of images, from disk where an earlier session has done these very ones."""
        about = self.begun_with(images, self.journey.model)
        made = self.kept(name, lambda: vars(reconstruct(self.journey, images, condition)), about)
        return Reconstruction(**made)

    def _write(self, directory: RunDirectory, result: Inversion) -> None:
        s = self.settings
        self.observer.stage("Writing", 2 + len(result.images), "files")
        for index, picture in enumerate(result.made.back):
            directory.write_png(f"reconstructions/{index:05d}.png", picture, {"image": s.images[index]})
            self.observer.advance(1)
        directory.write_png("sheet.png", inversion_sheet(result, s.amplify))
        self.observer.advance(1)
        about = {"tau": str(s.tau), "shape": json.dumps(list(result.shape)), "model": s.model}
        directory.write_tensors("noise.safetensors", {"x": result.made.x, "z": result.made.z}, about)
        self.observer.advance(1)


def warn_of_structure(x: Tensor, shape: tuple[int, int, int], names: Sequence[str], observer: Observer) -> None:
    """Warn where points x (n, d) at noise level 1, of these images, are plainly no noise."""
    why = [why_not_noise(found) for found in normality(x, shape)]
    bad = [index for index, words in enumerate(why) if words]
    if bad:
        count = f"{len(bad)} of {len(why)} images" if len(why) > 1 else names[0] if names else "the image"
        observer.warn(
            f"The noise of {count} is not like noise ({why[bad[0]]}): something of the image is left in it. It leads "
            "back to the image, but a path or a direction through such noise may leave what the model can draw."
        )


def survival(transport: float, autoencoder: float, settings: InvertSettings) -> str:
    """Whether images came back well, and what to do if they did not.

    Args:
        transport: dB between what was encoded and what came back.
        autoencoder: dB between the images and what the autoencoder alone makes of them.
        settings: of the run.
    """
    more = "Raise --steps" + (", or pass --guidance 1." if settings.guidance != 1 else ".")
    if transport >= LOOKS_SAME:
        told = "What came back looks the same as what was encoded."
    elif transport >= LOOKS_ALIKE:
        told = f"What came back differs a little from what was encoded. {more}"
    else:
        told = f"What came back is not what was encoded. {more}"
    if autoencoder < CAN_DRAW:
        told += " But the model's autoencoder cannot draw such a picture, even without noise: pass another --model."
    return told


def inversion_metrics(
    images: Tensor, made: Reconstruction, shape: tuple[int, int, int], distances: dict[str, Distance]
) -> dict[str, Any]:
    """All numbers of an inversion: likeness three ways, each image by itself and on average, and the noise.

    `autoencoder` compares images with what the autoencoder alone makes of them, `reconstruction` with what came back,
    and `transport` what came back with what the autoencoder alone makes.
    """
    pairs = {
        "autoencoder": (images, made.autoencoded),
        "reconstruction": (images, made.back),
        "transport": (made.autoencoded, made.back),
    }
    each = {name: likeness(a, b, distances) for name, (a, b) in pairs.items()}
    noise = normality(made.x, shape)
    fields = ("norm", "mean", "kurtosis", "neighbours")
    values = {name: [float(getattr(one, name)) for one in noise] for name in fields}
    return {
        **{name: summary(found) for name, found in each.items()},
        "latent_mse": summary({"latent_mse": made.latent_error.tolist()})["latent_mse"],
        "noise": summary(values) | {"chance": dict(zip(fields, noise[0].chance, strict=True))},
        "each": [_of_one(each, made, noise, index) for index in range(len(images))],
    }


def _of_one(
    each: dict[str, dict[str, list[float]]], made: Reconstruction, noise: list[Normality], index: int
) -> dict[str, Any]:
    return {
        **{name: {measure: values[index] for measure, values in table.items()} for name, table in each.items()},
        "latent_mse": float(made.latent_error[index]),
        "noise": {key: value for key, value in asdict(noise[index]).items() if key != "chance"},
    }


def inversion_sheet(result: Inversion, amplify: float) -> Tensor:
    """One column an image: the image, what the autoencoder makes of it, its noise, what came back, the difference."""
    made = result.made
    shown = (result.images, made.autoencoded, made.x, made.back)
    images, autoencoded, x, back = (rows[:IMAGES_SHOWN] for rows in shown)
    noise = noise_pictures(x, result.shape, *images.shape[2:])
    difference = (0.5 + amplify * (back - images) / 2).clamp(0, 1)
    labels = ["image", "autoencoder", "noise", "inverted\nand back", f"difference\nx {amplify:g}, gray\nis none"]
    return media.sheet([images, autoencoded, noise, back, difference], labels)


def noise_pictures(x: Tensor, shape: tuple[int, int, int], height: int, width: int) -> Tensor:
    """Noise (n, d) as images: its first three channels as red, green and blue, -3 to 3 as black to full."""
    maps = x.reshape(-1, *shape)[:, :3].float()
    if maps.shape[1] < 3:
        maps = maps[:, :1].expand(-1, 3, -1, -1)
    return interpolate((maps / 6 + 0.5).clamp(0, 1), size=(height, width), mode="nearest")

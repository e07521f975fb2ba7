"""Frames of an interpolation: where along the path they lie, how they are decoded, and what is written of them."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media, plots
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.keyframes import Ends, Keyframes
from geodesic_cli.frames.pacing import Pacer, eased, evaluations, spaced
from geodesic_cli.frames.path_report import PathReport
from geodesic_cli.frames.paths import ATTENTION, BLEND, BY_AUTHORS, ImagePath, clean_latents, positions
from geodesic_cli.runs.job import Job
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.interpolate import EASE
from geodesic_cli.settings.vocabulary import FAILED, fared, path_kind
from geodesic_cli.verbs.interpolate.legs import Leg
from geodesic_cli.verbs.interpolate.telling import curve_labels, solved

DECODED_AT_ONCE = 8
SAME_LENGTH = 0.05
"""By how much of it a film may be longer or shorter than the clip whose sound it has."""
MOST_HISTORIES = 9
"""Curves in the plot of convergence; of more legs none is drawn."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """The frames of one method.

    Args:
        frames: (n, 3, h, w) in [0, 1]; of a run in a folder those in its files, so that memory does not grow with them.
        u: (n,), their positions over the whole path.
        numbers: of the frames at which legs begin, and that at which the last one ends.
        decoded: score evaluations of the decoding.
        paced: network evaluations of the pacing.
    """

    frames: media.FrameSource
    u: Tensor
    numbers: tuple[int, ...]
    decoded: int
    paced: int

    def of_leg(self, k: int) -> list[int]:
        """The numbers of the frames of leg k, its ends included as far as they are frames."""
        return [number for number in range(self.numbers[k], self.numbers[k + 1] + 1) if number < len(self.u)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawer(Job[InterpolateSettings]):
    """Draws the paths of one run; frames are written as they come.

    Args:
        canvas: crops what the model draws.
        name: the name of a checkpoint, from the number of a leg and a word.
        pacer: how frames are spaced; None is at equal steps along the path.
        steps: in which a frame is carried down.
        plots: whether the plots are drawn, which take longer than a short path.
    """

    model: LatentDiffusion
    canvas: Canvas
    name: Callable[[int, str], str]
    pacer: Pacer | None
    steps: int
    plots: bool = True

    def draw(self, legs: Sequence[Leg], method: str, numbers: tuple[int, ...]) -> Drawn:
        """The frames of a method, written as they come, and kept if they are there already.

        A keyframe between two legs is drawn once, as the first frame of the later one.
        """
        s, count = self.settings, len(legs)
        total = numbers[-1] + (not s.loop)
        own = [numbers[k + 1] - numbers[k] + 1 for k in range(count)]
        paces = [self.pacer and self.pacer.along(method, leg.reports[method]) for leg in legs]
        inner = [
            self._positions(k, leg, method, own[k], pace) for k, (leg, pace) in enumerate(zip(legs, paces, strict=True))
        ]
        paced = sum(self._looks(pace, n, method) for pace, n in zip(paces, own, strict=True) if pace and n > 2)
        frames: list[Tensor] = []
        files: list[Path] = []
        u: list[float] = []
        ends_again = 0
        self.observer.stage(f"Drawing the {path_kind(method)}", total, "frames")
        for k, leg in enumerate(legs):
            here = inner[k] if k == count - 1 and not s.loop else inner[k][:-1]
            u += [(k + position) / count for position in here.tolist()]
            for first in range(0, len(here), DECODED_AT_ONCE):
                part = here[first : first + DECODED_AT_ONCE]
                number = numbers[k] + first
                names = [self._name(method, number + j) for j in range(len(part))]
                drawn = self._part(leg.ends, leg.paths[method], part, names, k / count, count)
                if self.directory is None:
                    frames += drawn
                else:
                    files += [self.directory.folder / name for name in names]
                self.observer.advance(len(part))
                ends_again += 2 * (method == ATTENTION and bool(((part > 0) & (part < 1)).any()))
        carried = 0 if method == BLEND else sum(frames_in_leg - 2 for frames_in_leg in own) + ends_again
        decoded = carried * (self.steps + 1)
        made = media.StoredFrames.of(files) if files else torch.stack(frames)
        return Drawn(made, torch.tensor(u, dtype=torch.float64), numbers, decoded, paced)

    def _name(self, method: str, number: int) -> str:
        """The name of the file of a frame."""
        return f"{'frames' if method == self.settings.method else f'compare/{method}'}/{number:05d}.png"

    def _part(
        self, ends: Ends, path: ImagePath, u: Tensor, names: Sequence[str], begins: float, count: int
    ) -> list[Tensor]:
        """Some frames in a row, written under their names; what is there already is read, so that damage is seen."""
        if self.directory is not None and all(self.directory.has(name) for name in names):
            return [media.read_image(self.directory.folder / name) for name in names]
        clean_ones = clean_latents(self.model, ends, path, u, self.steps, self.settings.transport_guidance)
        pictures = self.canvas.crop(self.model.decode(clean_ones, ends.shape)).cpu()
        if self.directory is not None:
            for name, picture, position in zip(names, pictures, u.tolist(), strict=True):
                self.directory.write_png(name, picture, {"u": begins + position / count})
        return list(pictures)

    def _positions(self, k: int, leg: Leg, method: str, frames: int, pace: Pacer | None) -> Tensor:
        """Positions of the frames of a leg, from the checkpoint where an earlier session has found them."""
        s = self.settings
        at = eased(frames) if s.timing == EASE else positions(frames)
        if pace is None or frames < 3:
            return at

        def found() -> dict[str, Tensor]:
            cost = self._looks(pace, frames, method)
            self.observer.stage(f"Pacing the {path_kind(method)}", cost)
            u = spaced(self.model, leg.ends, leg.paths[method], frames, s.steps, s.transport_guidance, pace, at)
            self.observer.advance(cost)
            return {"u": u}

        return self.kept(self.name(k, f"positions-{method}.safetensors"), found)["u"]

    def _looks(self, pace: Pacer, frames: int, method: str) -> int:
        s = self.settings
        return evaluations(pace, frames, s.steps, method, guided_evaluations(s.transport_guidance))

    def _sound(self, frames: int) -> media.Sound | None:
        """The sound of the clip that is interpolated, where the film lasts as long as the clip; else a word on it."""
        s = self.settings
        sound = media.sound_of(s.images[0]) if len(s.images) == 1 and set(s.kinds) & set(media.VIDEOS) else None
        if sound is None or abs(frames / s.fps - sound.seconds) <= SAME_LENGTH * sound.seconds + 1 / sound.fps:
            return sound
        self.observer.warn(
            f"The sound of {s.images[0]} is left out, as the film lasts {frames / s.fps:.3g} s and the clip "
            f"{sound.seconds:.3g} s. For its time and its sound pass --fps {frames / sound.seconds:.4g}."
        )
        return None

    def write(
        self,
        legs: Sequence[Leg],
        path: Sequence[ImagePath],
        keyframes: Keyframes,
        reports: dict[str, PathReport],
        drawn: dict[str, Drawn],
        metrics: dict[str, Any],
    ) -> None:
        """The contact sheet, the films, the plots and the path; the metrics say what is marked, and the names."""
        s, directory = self.settings, self.directory
        assert directory is not None
        self.observer.stage("Writing", 3 + len(s.kinds), "files")
        main = drawn[s.method]
        directory.write_png("sheet.png", self._sheet(drawn, metrics))
        self.observer.advance(1)
        sound = self._sound(len(main.frames))
        for kind in s.kinds:
            media.write_film(main.frames, directory.path(f"video.{kind}"), s.fps, sound)
            self.observer.advance(1)
        if self.plots:
            self._plot(legs, curve_labels(s, metrics["names"], reports), reports)
        self.observer.advance(1)
        nodes = [one.curve.u for one in path]
        directory.write_tensors(
            "path.safetensors",
            {
                "x": torch.cat([one(u)[1 if k else 0 :] for k, (one, u) in enumerate(zip(path, nodes, strict=True))]),
                "u": torch.cat([(k + u)[1 if k else 0 :] / len(path) for k, u in enumerate(nodes)]),
                "z_ends": keyframes.z,
                "x_ends": keyframes.x,
                "frame_u": main.u,
            },
            {"method": s.method, "tau": str(s.tau), "shape": json.dumps(list(keyframes.shape)), "model": s.model},
        )
        self.observer.advance(1)

    def _plot(self, legs: Sequence[Leg], labels: dict[str, str], reports: dict[str, PathReport]) -> None:
        """The density along every path, and how the solver came to its own."""
        directory = self.directory
        assert directory is not None
        plots.density_and_speed(
            {labels[name]: asdict(report) for name, report in reports.items()}, directory.path("density.png")
        )
        solved_by = "geodesic" if "geodesic" in labels else BY_AUTHORS
        histories = {
            self._of_solver(k, leg, labels[solved_by], len(legs)): {
                "score_calls": [float(calls) for calls, _, _ in leg.history],
                "residual": [residual for _, residual, _ in leg.history],
                "length": [math.exp(min(length, 700.0)) for _, _, length in leg.history],
            }
            for k, leg in enumerate(legs)
            if leg.history
        }
        if histories and len(histories) <= MOST_HISTORIES:
            plots.length_history(histories, directory.path("convergence.png"))

    def _sheet(self, drawn: dict[str, Drawn], metrics: dict[str, Any]) -> Tensor:
        """The frames of every method, with what they are called; what was given and what is doubtful is marked.

        Of a long film only some are shown, and the labels say how many.
        """
        names = list(drawn)
        total, _, height, width = next(iter(drawn.values())).frames.shape
        numbers = media.numbers_shown(total, len(names), height, width, metrics["keyframes"])
        place = {number: k for k, number in enumerate(numbers)}
        several = len(metrics["keyframes"]) > 2
        marks = media.SheetMarks(
            written=(names.index(self.settings.method),) if len(names) > 1 else (),
            given=tuple(place[number] for number in metrics["keyframes"] if number in place) if several else (),
            doubtful=tuple(place[k] for k in metrics.get("global", {}).get("marked_frames", ()) if k in place),
        )
        part = f"\n{len(numbers)} of {total:,} frames" if len(numbers) < total else ""
        labels = [metrics["names"][name].replace(", ", ",\n") + part for name in names]
        return media.sheet([media.chosen_of(drawn[name].frames, numbers) for name in names], labels, marks)

    def _of_solver(self, k: int, leg: Leg, label: str, count: int) -> str:
        """What the plot of the solver says of one leg: the path's name, or between which images it runs."""
        if count == 1:
            return label
        method = "geodesic" if "geodesic" in leg.paths else BY_AUTHORS
        failed = "" if solved(leg, method) else f", {FAILED}"
        failed += "" if self.settings.method == method else fared(chosen=False, longer=False)
        return f"image {k + 1} to {1 if k + 1 == count and self.settings.loop else k + 2}{failed}"

"""`geodesic extrapolate`: a sequence, and how it goes on after its last frame or before its first.

    read -> encode the last frames -> velocity -> ray, frame by frame -> frames -> sheet, films, plot, numbers

The ray is followed one frame at a time and what it has reached is on disk after each, as is every frame that is drawn,
so a run can be stopped at any moment and resumed, with the same bytes.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion import Conditioning, LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.frames.clip import Known, clip_journey, clip_names, count_frames, frames_in_memory, read_clip
from geodesic_cli.frames.journey import Journey
from geodesic_cli.frames.keyframes import widest
from geodesic_cli.geometry import (
    RK4,
    AdamsBashforth4,
    DormandPrince,
    IsokineticLeapfrog,
    Status,
    Stepper,
)
from geodesic_cli.geometry.clips.departure import Arrival, Departure, Ray, depart
from geodesic_cli.runs.folder import RunDirectory, require_same
from geodesic_cli.runs.job import Job, in_memory, into_folder
from geodesic_cli.runs.observer import Observer
from geodesic_cli.settings import DROP, ExtrapolateSettings
from geodesic_cli.verbs.extrapolate.writing import Continuation, EncodedFrames, Written, looks, numbers, told, write

DRAWN_AT_ONCE = 8
STEPPERS: dict[str, Stepper] = {
    "leapfrog": IsokineticLeapfrog(),
    "rk4": RK4(),
    "adams-bashforth": AdamsBashforth4(),
    "dormand-prince": DormandPrince(1e-3),
}


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """The result of an extrapolation.

    Args:
        frames: the whole sequence in the order of time, (n, 3, h, w) in [0, 1].
        known: the numbers in it of the first known frame and of the first one after them.
        continuations: after the last frame and, where asked for, before the first one.
        metrics: what metrics.json holds.
        status: a sentence on where the rays ended, and why.
        folder: the run directory, or None where nothing was written.
    """

    frames: Tensor
    known: tuple[int, int]
    continuations: tuple[Continuation, ...]
    metrics: dict[str, Any]
    status: str
    folder: Path | None

    @property
    def complete(self) -> bool:
        """Whether every ray has all the frames that it was asked for."""
        return all(one.status is Status.CONVERGED for one in self.continuations)


def extrapolate(
    source: str | Path | Sequence[str | Path] | Tensor,
    *,
    model: str | LatentDiffusion = "clevr-mini",
    observer: Observer | None = None,
    **options: Any,
) -> Extrapolation:
    """Continue a sequence in memory; nothing is written.

    Args:
        source: a video, an animation, a folder of frames, several images, or a tensor (n, 3, h, w) in [0, 1].
        model: a name, or a model that is loaded already.
        observer: told of the progress.
        options: any setting of `settings.ExtrapolateSettings` but source, out, resume and overwrite.

    Raises:
        GeodesicError: an input that cannot be used, with what to do about it.
    """
    names = clip_names(source, "sequence")
    job = in_memory(ExtrapolateSettings, "extrapolate", model, options, observer, source=names)
    return _extrapolated(job, source if isinstance(source, Tensor) else None)


def run(settings: ExtrapolateSettings, observer: Observer, command: str) -> Extrapolation:
    """Continue a sequence and write the run directory. See the module's text and `ExtrapolateSettings`."""
    return _extrapolated(into_folder(settings, observer, command), None)


def _extrapolated(job: Job[ExtrapolateSettings], given: Tensor | None) -> Extrapolation:
    s = job.settings
    # What cannot be read is refused before the model is loaded.
    frames = None if given is None else frames_in_memory(given, s, least=2)
    if given is None:
        count_frames(s.source, s, 1)
    model = job.model()
    known = read_clip(s.source, frames, s, model, job.observer)
    with job.folder(stem(s)) as directory:
        return _Work(s, job.observer, model, directory, clip_journey(s, model, known.canvas)).run(known)


def stem(settings: ExtrapolateSettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"after-{Path(settings.source[-1]).resolve().stem}"


@dataclass(frozen=True, eq=False)
class _Work:
    """One extrapolation: what was asked for, who watches, the model, and where it is written, if anywhere."""

    settings: ExtrapolateSettings
    observer: Observer
    model: LatentDiffusion
    directory: RunDirectory | None
    journey: Journey

    @property
    def branches(self) -> int:
        """Network evaluations for one of a score: guidance calls the network with and without the prompt."""
        return guided_evaluations(self.settings.guidance)

    def run(self, known: Known) -> Extrapolation:
        began = time.monotonic()
        s = self.settings
        if s.context > len(known.frames):
            self.observer.warn(f"The velocity is taken from all {len(known.frames)} frames: there are no more.")
        after = self._continue("after", known, known.frames[-s.context :])
        before = self._continue("before", known, known.frames[: s.context].flip(0)) if s.backward else None
        rays = (after,) if before is None else (after, before)
        earlier = torch.empty(0, *known.frames.shape[1:]) if before is None else before.frames.flip(0)
        frames = torch.cat([earlier, known.frames, after.frames])
        bounds = (len(earlier), len(earlier) + len(known.frames))
        status = " ".join(told(one, s.frames) for one in rays)
        up, down = self.journey.evaluations
        spent = {
            "flow": up * sum(len(one.points.x) for one in rays),
            "rays": self.branches * sum(one.arrivals[-1].calls for one in rays if one.arrivals),
            "frames": down * sum(len(one.z) for one in rays),
            "plot": self.branches * (looks(after) if self.directory is not None else 0),
        }
        metrics = {
            "frames": len(frames),
            "known": list(bounds),
            "tau": s.tau,
            "sigma": self._sigma,
            "embedding": s.embedding,
            "dimension": after.points.x.shape[1],
            "rays": {one.name: numbers(one, s) for one in rays},
            "evaluations": spent,
            "seconds": round(time.monotonic() - began, 3),
        }
        result = Extrapolation(frames, bounds, rays, metrics, status, None)
        if self.directory is None:
            return result
        write(Written(s, self.observer, self.model, self.directory), known, frames, bounds[0], rays)
        self.directory.finish(status, metrics, evaluations=sum(spent.values()))
        return replace(result, folder=self.directory.folder)

    @property
    def _sigma(self) -> float:
        return float(self.model.predict.schedule.level(self.settings.tau)[1])

    # --- one direction

    def _continue(self, name: str, known: Known, context: Tensor) -> Continuation:
        """Continue frames (k, 3, h, w) after the last of them; where `name` is `before` they come in reversed order."""
        s = self.settings
        prompts = tuple(text for text in (s.prompt, s.target_prompt if name == "after" else None) if text is not None)
        conditioning = self.model.prompts.along(prompts)
        self.observer.stage(f"Encoding {name}", len(context), "frames")
        points = self._points(context, conditioning)
        self.observer.advance(len(context))
        order = min(s.order, len(context) - 1)
        departure = depart(points.x, order)
        if not bool(departure.v.any()):
            where = "last" if name == "after" else "first"
            self.observer.warn(f"Nothing moves in the {where} {len(context)} frames: neither will the new ones.")
        dimension = len(departure.x)
        alpha = -s.guide * self._sigma**2 / dimension if s.alpha is None else s.alpha
        max_drop = DROP * dimension if s.max_drop is None else s.max_drop
        score = self.model.score(points.shape, s.tau, conditioning, s.guidance)
        ray = Ray(score, alpha, s.frames, STEPPERS[s.stepper], s.substeps or None, max_drop=max_drop)
        arrivals, status = self._follow(name, ray, departure, known.digest)
        frames, z = self._draw(name, known, arrivals, points, conditioning)
        return Continuation(name, points, departure, alpha, max_drop, arrivals, status, frames, z)

    def _points(self, frames: Tensor, conditioning: Conditioning) -> EncodedFrames:
        """Frames (k, 3, h, w) to points, in float64 where there is one."""
        z = self.journey.encode(frames).to(self.model.device)
        x = self.journey.up(z, conditioning(torch.zeros(len(z))))
        return EncodedFrames(z, widest(x), self.journey.shape)

    def _follow(self, name: str, ray: Ray, departure: Departure, digest: str) -> tuple[tuple[Arrival, ...], Status]:
        """All arrivals of a ray, those of an earlier session from its checkpoint."""
        file = f"checkpoint/{name}.safetensors"
        about = {"digest": digest, "model": self.model.fingerprint}
        arrivals, status = self._saved(file, about, departure.x.device)
        self.observer.stage(f"Following the ray {name}", ray.frames, "frames")
        self.observer.advance(len(arrivals))
        now = arrivals[-1] if arrivals else Arrival(departure.x, departure.v)
        while status is None:
            if len(arrivals) == ray.frames:
                status = Status.CONVERGED
                break
            after = ray.next(now, len(arrivals))
            if isinstance(after, Status):
                status = after
            else:
                arrivals.append(after)
                now = after
                self.observer.advance(1, f"log p {after.log_density:+.0f}")
            if self.directory is not None:
                self._save(self.directory, file, about, departure, arrivals, status)
        return tuple(arrivals), status

    def _save(
        self,
        directory: RunDirectory,
        file: str,
        about: dict[str, str],
        departure: Departure,
        arrivals: list[Arrival],
        status: Status | None,
    ) -> None:
        numbers = [(one.log_density, one.calls, one.residual) for one in arrivals]
        words = {"numbers": json.dumps(numbers), "status": "" if status is None else status.name}
        x, v = (torch.stack([getattr(departure, key), *(getattr(one, key) for one in arrivals)]) for key in "xv")
        directory.write_tensors(file, {"x": x, "v": v}, about | words)

    def _saved(self, file: str, about: dict[str, str], device: torch.device) -> tuple[list[Arrival], Status | None]:
        if self.directory is None or not self.directory.has(file):
            return [], None
        tensors, saved = self.directory.read_tensors(file)
        require_same(saved, about)
        rows = zip(tensors["x"][1:].to(device), tensors["v"][1:].to(device), json.loads(saved["numbers"]), strict=True)
        arrivals = [Arrival(x, v, *numbers) for x, v, numbers in rows]
        return arrivals, Status[saved["status"]] if saved["status"] else None

    def _draw(
        self, name: str, known: Known, arrivals: tuple[Arrival, ...], points: EncodedFrames, conditioning: Conditioning
    ) -> tuple[Tensor, Tensor]:
        """The new frames and their encodings, those of an earlier session from their files."""
        s = self.settings
        u = torch.arange(1, len(arrivals) + 1, dtype=torch.float64) / s.frames
        frames, z = [known.frames[:0]], [points.z[:0]]
        self.observer.stage(f"Drawing {name}", len(arrivals), "frames")
        for rows in torch.arange(len(arrivals)).split(DRAWN_AT_ONCE):
            file = f"checkpoint/drawn-{name}-{int(rows[0]):05d}.safetensors" if len(rows) else ""
            if rows.numel() and self.directory is not None and self.directory.has(file):
                saved = self.directory.read_tensors(file)[0]
                frames.append(saved["frames"])
                z.append(saved["z"].to(points.z.device))
            elif rows.numel():
                x = torch.stack([arrivals[k].x for k in rows.tolist()])
                z.append(self.journey.down(x, conditioning(u[rows])))
                frames.append(self.journey.decode(z[-1]))
                if self.directory is not None:
                    self.directory.write_tensors(file, {"frames": frames[-1], "z": z[-1]})
            self.observer.advance(len(rows))
        return torch.cat(frames), torch.cat([part.to(points.z.dtype) for part in z])

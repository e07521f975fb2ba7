"""`geodesic extrapolate`: a sequence, and how it goes on after its last frame or before its first.

    read -> encode the last frames -> velocity -> ray, frame by frame -> frames -> sheet, films, plot, numbers

The ray is followed one frame at a time and what it has reached is on disk after each, as is every frame that is drawn,
so a run can be stopped at any moment and resumed, with the same bytes.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion import Conditioning
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.evaluation.drift import colour_drift, shape_drift
from geodesic_cli.frames.clip import (
    ClipSource,
    Known,
    clip_journey,
    clip_parts,
    count_frames,
    frames_in_memory,
    read_clip,
)
from geodesic_cli.frames.keyframes import Encoded, widest
from geodesic_cli.geometry import RK4, AdamsBashforth4, DormandPrince, IsokineticLeapfrog, Status, Stepper
from geodesic_cli.geometry.clips.departure import Arrival, Departure, Ray, depart
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.job import Job, RunResult, in_memory
from geodesic_cli.runs.manifest import require_same
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.room import frame_bytes, require_room
from geodesic_cli.settings import DROP, ExtrapolateSettings
from geodesic_cli.verbs.extrapolate.writing import (
    Continuation,
    Extending,
    RayEnding,
    advice,
    looks,
    numbers,
    told,
    walked,
    write,
)

DRAWN_AT_ONCE = 8
UNTOLD = (
    "No --prompt says what the frames show, so things that move fast may change their colour or shape on the way; with "
    "a prompt they keep them."
)
STEPPER_OF: dict[str, Stepper] = {
    "leapfrog": IsokineticLeapfrog(),
    "rk4": RK4(),
    "adams-bashforth": AdamsBashforth4(),
    "dormand-prince": DormandPrince(1e-3),
}


@dataclass(frozen=True, eq=False, repr=False)
class Extrapolation(RunResult):
    """The result of an extrapolation. Its status says where the rays ended, and why.

    Args:
        frames: the whole sequence in the order of time, (n, 3, h, w) in [0, 1].
        known: the numbers in it of the first known frame and of the first one after them.
        continuations: after the last frame and, where asked for, before the first one.
        advice: what to do about frames that have drifted; nothing where none has.
    """

    frames: Tensor
    known: tuple[int, int]
    continuations: tuple[Continuation, ...]
    advice: str = ""

    @property
    def pictures(self) -> Tensor:
        """The frames."""
        return self.frames

    @property
    def _moves(self) -> bool:
        return True

    @property
    def complete(self) -> bool:
        """Whether every ray has all the frames that it was asked for."""
        return all(one.ending is RayEnding.CONVERGED for one in self.continuations)

    @property
    def drifted(self) -> bool:
        """Whether frames among the new ones have drifted and are marked."""
        return any(one.drifted for one in self.continuations)


@called_from_python(ExtrapolateSettings)
def extrapolate(
    source: ClipSource, *, model: AnyModel = "clevr-mini", observer: Observer | None = None, **options: Any
) -> Extrapolation:
    """Continue a sequence in memory; nothing is written.

    Args:
        source: a video, an animation, a folder of frames, several images, or frames in memory: PIL images,
            numpy arrays (h, w, 3) or tensors (3, h, w), one by one or as a batch.
        options: any setting of `settings.ExtrapolateSettings` but source, out, resume and overwrite.
    """
    names, frames = clip_parts(source, "sequence")
    job = in_memory(ExtrapolateSettings, "extrapolate", model, options, observer, source=names)
    return run(job, frames)


def run(job: Job[ExtrapolateSettings], given: Tensor | None = None) -> Extrapolation:
    """Continue the sequence of the settings, or frames given in its place. See the module's text."""
    s = job.settings
    # What cannot be read is refused before the model is loaded.
    frames = None if given is None else frames_in_memory(given, s, least=2)
    if given is None:
        count_frames(s.source, s, 1)
    model = job.load_model()
    known = read_clip(s.source, frames, s, model, job.observer)
    require_room({"frames": (s.frames, (1 + s.backward) * frame_bytes(known.canvas.height, known.canvas.width))})
    with job.in_folder(stem(s)) as job:
        return _Work(**vars(job), model=model, journey=clip_journey(s, model, known.canvas)).run(known)


def stem(settings: ExtrapolateSettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"after-{Path(settings.source[-1]).resolve().stem}"


class _Work(Extending):
    @property
    def branches(self) -> int:
        """Network evaluations for one of a score: guidance calls the network with and without the prompt."""
        return guided_evaluations(self.settings.guidance)

    def run(self, known: Known) -> Extrapolation:
        began = time.monotonic()
        s = self.settings
        if s.context > len(known.frames):
            self.observer.warn(f"The velocity is taken from all {len(known.frames)} frames: there are no more.")
        if s.prompt is None and self.model.prompts.encoders:
            self.observer.warn(UNTOLD)
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
        result = Extrapolation(frames, bounds, rays, advice(rays, s), metrics=metrics, status=status)
        if self.directory is not None:
            write(self, known, frames, bounds[0], rays)
        return self.done(result, sum(spent.values()))

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
        z = self.journey.encode(context).to(self.model.device)
        x = widest(self.journey.up(z, conditioning(torch.zeros(len(z)))))  # float64 where there is one
        way = _Way(name, Encoded(z, x, self.journey.shape), conditioning, self.journey.decode(z))
        self.observer.advance(len(context))
        order = min(s.order, len(context) - 1)
        departure = depart(x, order)
        if not bool(departure.v.any()):
            where = "last" if name == "after" else "first"
            self.observer.warn(f"Nothing moves in the {where} {len(context)} frames: neither will the new ones.")
        dimension = len(departure.x)
        alpha = -s.guide * self._sigma**2 / dimension if s.alpha is None else s.alpha
        max_drop = DROP * dimension if s.max_drop is None else s.max_drop
        score = self.model.score(way.points.shape, s.tau, conditioning, s.guidance)
        ray = Ray(score, alpha, s.frames, STEPPER_OF[s.stepper], s.substeps or None, max_drop=max_drop)
        arrivals, ending = self._follow(way, ray, departure, known.digest)
        frames, z = self._draw(way, known.frames[:0], arrivals)
        last, earlier = way.redrawn[-1], way.redrawn[:-1]
        colours, shapes = (tuple(of(frames, last, earlier).tolist()) for of in (colour_drift, shape_drift))
        return Continuation(name, way.points, departure, alpha, max_drop, arrivals, ending, frames, z, colours, shapes)

    def _follow(
        self, way: "_Way", ray: Ray, departure: Departure, digest: str
    ) -> tuple[tuple[Arrival, ...], RayEnding]:
        """All arrivals of a ray, those of an earlier session from its checkpoint."""
        file = f"checkpoint/{way.name}.safetensors"
        about = {"digest": digest, "model": self.model.fingerprint}
        arrivals, ending = self._saved(file, about, departure.x.device)
        self.observer.stage(f"Following the ray {way.name}", ray.frames, "frames")
        self.observer.advance(len(arrivals))
        now = arrivals[-1] if arrivals else Arrival(departure.x, departure.v)
        while ending is None and len(arrivals) < ray.frames:
            after = ray.next(now, len(arrivals))
            if isinstance(after, Status):
                ending = RayEnding[after.name]
            elif self._drifts_too_far(way, after, len(arrivals)):
                ending = RayEnding.DRIFTED
            else:
                arrivals.append(after)
                now = after
                self.observer.advance(1, f"log p {after.log_density:+.0f}")
            if self.directory is not None:
                numbers = [(one.log_density, one.calls, one.residual) for one in arrivals]
                words = {"numbers": json.dumps(numbers), "status": "" if ending is None else ending.name}
                self.directory.write_tensors(file, walked(departure, arrivals), about | words)
        return tuple(arrivals), RayEnding.CONVERGED if ending is None else ending

    def _drifts_too_far(self, way: "_Way", after: Arrival, k: int) -> bool:
        """Whether the frame with k new ones before it is not wanted; it is drawn at once, and not again."""
        limit = self.settings.max_drift
        if limit is None:
            return False
        frame = self._drawn(way, k, [after])["frames"]
        last, earlier = way.redrawn[-1], way.redrawn[:-1]
        return any(float(of(frame, last, earlier, k + 1)) > limit for of in (colour_drift, shape_drift))

    def _saved(self, file: str, about: dict[str, str], device: torch.device) -> tuple[list[Arrival], RayEnding | None]:
        if self.directory is None or not self.directory.has(file):
            return [], None
        tensors, saved = self.directory.read_tensors(file)
        require_same(saved, about)
        rows = zip(tensors["x"][1:].to(device), tensors["v"][1:].to(device), json.loads(saved["numbers"]), strict=True)
        arrivals = [Arrival(x, v, *numbers) for x, v, numbers in rows]
        return arrivals, RayEnding[saved["status"]] if saved["status"] else None

    def _draw(self, way: "_Way", none: Tensor, arrivals: tuple[Arrival, ...]) -> tuple[Tensor, Tensor]:
        """The new frames and their encodings, those of an earlier session from their files."""
        frames, z = [none], [way.points.z[:0]]
        self.observer.stage(f"Drawing {way.name}", len(arrivals), "frames")
        # Under --max-drift each was drawn as the ray reached it.
        at_once = DRAWN_AT_ONCE if self.settings.max_drift is None else 1
        for first in range(0, len(arrivals), at_once):
            made = self._drawn(way, first, arrivals[first : first + at_once])
            frames.append(made["frames"])
            z.append(made["z"].to(way.points.z.device))
            self.observer.advance(len(made["z"]))
        return torch.cat(frames), torch.cat([part.to(way.points.z.dtype) for part in z])

    def _drawn(self, way: "_Way", first: int, arrivals: Sequence[Arrival]) -> Mapping[str, Tensor]:
        """The frames and encodings of arrivals of which the first is the new frame of that number, counted from 0."""
        u = torch.arange(first + 1, first + len(arrivals) + 1, dtype=torch.float64) / self.settings.frames

        def drawn() -> dict[str, Tensor]:
            clean = self.journey.down(torch.stack([arrival.x for arrival in arrivals]), way.conditioning(u))
            return {"frames": self.journey.decode(clean), "z": clean}

        if first not in way.drawn:
            way.drawn[first] = self.kept(f"checkpoint/drawn-{way.name}-{first:05d}.safetensors", drawn)
        return way.drawn[first]


@dataclass(frozen=True, eq=False)
class _Way:
    """One direction at work.

    Args:
        name: `after` or `before`.
        points: the known frames that the velocity comes from, the one that the ray starts from last.
        conditioning: along the new frames.
        redrawn: those frames as the autoencoder draws them again.
        drawn: new frames and their encodings, by the number of the first of them.
    """

    name: str
    points: Encoded
    conditioning: Conditioning
    redrawn: Tensor
    drawn: dict[int, Mapping[str, Tensor]] = field(default_factory=dict)

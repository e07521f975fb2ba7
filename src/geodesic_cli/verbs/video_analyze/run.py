"""`geodesic video-analyze`: is a clip a geodesic of the model's density, and where does it depart from one?

    frames, one after the other -> encodings z -> points x at noise level tau -> windows -> report -> files

Two embeddings. `ridge` takes x = a z, where the noise level tau has a clean z without its noise (a = sqrt(alpha_bar)
for the usual schedules): a path along a ridge of the density. `flow` takes the probability flow's x, a typical noisy
point, far from the ridge: all typical points lie on a shell, on which every path bends towards higher density, so that
no clip is a geodesic there (`geometry.significance`).

Pictures are not kept: of each frame there remain its encoding and a thumbnail. A run can be stopped between two windows
and resumed.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import plots
from geodesic_cli.diffusion import Conditioning, LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas
from geodesic_cli.frames.clip import ClipSource, clip_journey, clip_names, count_frames, frames_in_memory, stream_clip
from geodesic_cli.frames.journey import Journey
from geodesic_cli.frames.keyframes import widest
from geodesic_cli.geometry import Euclidean, Score
from geodesic_cli.geometry.clips.rivals import RivalChoice, compare
from geodesic_cli.geometry.clips.sequence import measure_sequence, moving, roughness
from geodesic_cli.geometry.perturbation import moving_mean
from geodesic_cli.runs.job import Job, RunResult, in_memory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.room import node_bytes, require_room
from geodesic_cli.settings import VideoAnalyzeSettings
from geodesic_cli.verbs.video_analyze.joining import report_on
from geodesic_cli.verbs.video_analyze.report import ClipReport, csv_of, report_metrics
from geodesic_cli.verbs.video_analyze.sheet import Strip
from geodesic_cli.verbs.video_analyze.windows import Window, cut

LEAST = 3
FRAMES_AT_ONCE = 32
"""Frames that are encoded, and carried up, at a time."""
STILL_LEVELS = 8
"""Thumbnails that differ by so many of 255 levels at most show one picture, with the noise of a codec."""
STILL = "No path: all {} frames show the same picture{}. Pass a clip in which something moves."
SHORT = "No path: only two of the {} frames differ, and between two pictures nothing can bend. Pass more frames."


@dataclass(frozen=True, eq=False)
class VideoAnalysis(RunResult):
    """The result of an analysis. Its status is the verdict.

    Args:
        report: the report; None where too few frames differ to make a path.
    """

    report: ClipReport | None

    @property
    def verdict(self) -> str:
        """One sentence with the numbers behind it."""
        return self.status


def video_analyze(
    clip: ClipSource, *, model: AnyModel = "clevr-mini", observer: Observer | None = None, **options: Any
) -> VideoAnalysis:
    """Analyse a clip in memory; nothing is written.

    Args:
        clip: a video, an animation, a folder of frames, several images, or a tensor (n, 3, h, w) in [0, 1].
        options: any setting of `settings.VideoAnalyzeSettings` but clip, out, resume and overwrite.
    """
    names = clip_names(clip, "clip")
    job = in_memory(VideoAnalyzeSettings, "video_analyze", model, options, observer, clip=names)
    return run(job, clip if isinstance(clip, Tensor) else None)


def run(job: Job[VideoAnalyzeSettings], given: Tensor | None = None) -> VideoAnalysis:
    """Analyse the clip of the settings, or frames given in its place. See the module's text."""
    s = job.settings
    # A clip that cannot be used is refused before the model is loaded and the folder is touched.
    frames = None if given is None else frames_in_memory(given, s)
    _require_enough(count_frames(s.clip, s, LEAST) if frames is None else len(frames), s)
    model = job.load_model()
    with job.in_folder(stem(s)) as job:
        journey = clip_journey(s, model, Canvas.of(model, s.size))
        return _Work(**vars(job), model=model, journey=journey).run(frames)


def stem(settings: VideoAnalyzeSettings) -> str:
    """What the folder of a run is called below runs/."""
    return f"analysis-of-{Path(settings.clip[0]).resolve().stem}"


def _require_enough(count: int, settings: VideoAnalyzeSettings) -> None:
    clip = settings.clip
    name = clip[0] if len(clip) == 1 else f"{clip[0]} and {len(clip) - 1} others"
    if count < LEAST:
        raise InputError(
            f"A clip of at least {LEAST} frames is needed, and {name} gives {count}.",
            "Pass more frames, a lower --stride, or an earlier --start: two points make no path that could bend.",
        )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is kept of the frames: encodings (n, d), times in seconds, thumbnails, and a digest of the pictures."""

    z: Tensor
    times: list[float]
    strip: Strip
    digest: str


@dataclass(frozen=True, eq=False, kw_only=True)
class _Work(Job[VideoAnalyzeSettings]):
    model: LatentDiffusion
    journey: Journey

    def run(self, frames: Tensor | None) -> VideoAnalysis:
        began = time.monotonic()
        s = self.settings
        seen = self._read(frames)
        conditioning = self.model.prompts.along(s.prompt)
        x = self._embed(seen, conditioning)
        score = self.model.score(self.journey.shape, s.tau, conditioning, s.guidance)
        u = torch.linspace(0, 1, len(x), dtype=x.dtype, device=x.device)
        kept = moving(seen.z.double(), Euclidean()).to(x.device)  # pictures repeat, whatever a flow makes of that
        common: dict[str, Any] = {"tau": s.tau, "embedding": s.embedding, "dimension": x.shape[1]}
        still = seen.strip.spread <= STILL_LEVELS
        common |= {"frames": len(x), "frames_that_move": 1 if still else len(kept)}
        if still or len(kept) < 3:
            noise = ", but for the noise of a codec" if len(kept) > 1 else ""
            verdict = STILL.format(len(x), noise) if still else SHORT.format(len(x))
            return self._finish(None, common | {"verdict": verdict, "grade": "no path"}, seen, 0, began)
        x = x.index_copy(0, kept, moving_mean(x[kept], s.denoise))
        window = min(s.window, len(kept))
        require_room({"draws": (s.draws, node_bytes(window * x.shape[1]))})
        pieces = [kept[list(piece)] for piece in cut(len(kept), s.window, s.overlap)]
        alpha, spent = self._alpha(score, x, u, pieces)
        windows = self._windows(score, x, u, pieces, alpha, seen.digest)
        report = report_on(windows, alpha, len(x), seen.times, roughness(x[kept]))
        spent += sum(window.score_calls for window in windows)
        metrics = common | report_metrics(report) | {"score_evaluations": spent}
        return self._finish(report, metrics, seen, spent, began)

    # --- frames to points

    def _read(self, given: Tensor | None) -> _Seen:
        """Encode the frames as they come; no more than FRAMES_AT_ONCE pictures are held."""
        s, canvas = self.settings, self.journey.canvas
        digest = hashlib.sha256(self.model.fingerprint.encode())
        strip = Strip()
        z: list[Tensor] = []
        times: list[float] = []
        self.observer.stage("Encoding", s.max_frames or 0, "frames")
        stream = stream_clip(s.clip, given, s, canvas, self.observer)
        while block := list(islice(stream, FRAMES_AT_ONCE)):
            pictures = torch.stack([image for image, _ in block])
            times += [at for _, at in block]
            digest.update(pictures.numpy().tobytes())
            strip.add(pictures)
            z.append(self.journey.encode(pictures).cpu())
            self.observer.advance(len(block), f"{len(times)} frames")
        _require_enough(len(times), s)
        return _Seen(torch.cat(z), times, strip, digest.hexdigest())

    def _embed(self, seen: _Seen, conditioning: Conditioning) -> Tensor:
        """Points x (n, d) at noise level tau on the model's device, in float64 where there is one."""
        each = self.journey.evaluations[0]
        if each:
            self.observer.stage("Inverting", len(seen.z) * each)
        u = torch.linspace(0, 1, len(seen.z), dtype=torch.float64)
        carried = []
        for rows in torch.arange(len(seen.z)).split(FRAMES_AT_ONCE):
            carried.append(self.journey.up(seen.z[rows].to(self.model.device), conditioning(u[rows])))
            self.observer.advance(len(rows) * each)
        return widest(torch.cat(carried))

    # --- points to numbers

    def _alpha(self, score: Score, x: Tensor, u: Tensor, pieces: list[Tensor]) -> tuple[float, int]:
        """Alpha, and the score evaluations it took."""
        if self.settings.alpha is not None:
            return self.settings.alpha, 0
        bends, pulls, spent = [], [], 0
        for rows in pieces:
            found = measure_sequence(x[rows], score(x[rows], u[rows]), 1.0, Euclidean())
            bends.append(found.curvature_term)
            pulls.append(found.score_term)
            spent += len(rows)
        pull = float(torch.cat(pulls).median())
        return (float(torch.cat(bends).median()) / pull if pull > 0 else 0.0), spent

    def _windows(
        self, score: Score, x: Tensor, u: Tensor, pieces: list[Tensor], alpha: float, digest: str
    ) -> list[Window]:
        s = self.settings
        asked = ("noise", "waves", "draws", "smoothing", "seed", "tol", "max_steps")
        choice = RivalChoice(alpha=alpha, **{name: getattr(s, name) for name in asked})
        self.observer.stage("Comparing", len(pieces), "windows")
        windows = []
        for k, rows in enumerate(pieces):
            window = self._saved(k, digest)
            if window is None:
                window = Window.of(rows.tolist(), compare(score, x[rows], u[rows], choice))
                if self.directory is not None:
                    self.directory.write_json(_checkpoint(k), {"digest": digest, "window": asdict(window)})
            windows.append(window)
            self.observer.advance(1, f"frames {window.frames[0]} to {window.frames[-1]}")
        return windows

    def _saved(self, k: int, digest: str) -> Window | None:
        """A window that an earlier session finished, if it was of these very pictures and this model."""
        if self.directory is None or not self.directory.has(_checkpoint(k)):
            return None
        saved = json.loads((self.directory.folder / _checkpoint(k)).read_text("utf-8"))
        if saved["digest"] != digest:
            raise InputError(
                "The frames or the model's weights are not those that this run was begun with.",
                "Pass another --out, or --overwrite.",
            )
        return Window.from_plain(saved["window"])

    # --- numbers to files

    def _finish(
        self, report: ClipReport | None, metrics: dict[str, Any], seen: _Seen, spent: int, began: float
    ) -> VideoAnalysis:
        metrics = metrics | {"seconds": round(time.monotonic() - began, 3)}
        if self.directory is not None:
            self.directory.write_png("sheet.png", seen.strip.sheet(None if report is None else report.event))
        if self.directory is not None and report is not None:
            self.directory.write_text("clip.csv", csv_of(report))
            rows = [row for row in report.rows if row["moves"]]
            mark = report.event.first, report.event.last, f"it {report.place}"
            plots.clip_analysis(rows, report.names, mark, self.directory.path("analysis.png"))
        encoded = len(seen.times) * self.settings.steps if self.settings.embedding == "flow" else 0
        return self.done(VideoAnalysis(report, metrics=metrics, status=metrics["verdict"]), spent + encoded)


def _checkpoint(k: int) -> str:
    return f"checkpoint/window-{k:05d}.json"

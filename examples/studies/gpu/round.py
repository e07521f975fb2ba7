"""What a machine with a GPU shows, in one command of at most eight minutes: `python examples/studies/gpu/round.py`

Nothing is downloaded: the large models have the published shapes of Stable Diffusion and random weights, which cost
the same time and memory as trained ones. Each step is written to round.json as soon as it is made, so a run that is
stopped loses one step. What did not fit into the budget is named in the table, never left out in silence.

    tests    the tests that need CUDA
    bits     the same run on the CPU and on the device: how far apart; and twice on the device: the same bytes?
    speed    evaluations of the score a second beside the bare network of diffusers, and memory
    pair     a whole pair of images: seconds for encoding, solving, pacing and drawing
    layouts  the bare network as it is, with channels last, compiled, and both

`--small` takes tiny shapes, so that the whole round can be tried on a CPU: add `--device cpu`.
"""

import argparse
import gc
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[3]
sys.path += [str(ROOT / "tests" / "diffusion"), str(ROOT / "src")]
import pipelines  # noqa: E402  (the tests' builder of models with random weights)

import geodesic_cli  # noqa: E402
from geodesic_cli.diffusion.loading.load import load  # noqa: E402
from geodesic_cli.diffusion.loading.shapes import PUBLISHED  # noqa: E402
from geodesic_cli.runs.observer import Silent  # noqa: E402
from geodesic_cli.verbs.bench.model import measure_speed  # noqa: E402

IMAGES = [str(ROOT / "examples" / "images" / f"{name}.png") for name in ("blue-cube", "yellow-cylinder")]
MODELS = ("sd15", "sd21", "sdxl")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
SMALL = {"sd15": pipelines.SD1, "sd21": pipelines.SD2V, "sdxl": pipelines.XL}


class Stages(Silent):
    """How long each stage of a run takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._now, self._began = "Beginning", time.perf_counter()

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
        """The one that ran until now has ended."""
        self.close()
        self._now = name

    def close(self) -> None:
        """The stage that runs has ended."""
        now = time.perf_counter()
        self.seconds[self._now] = self.seconds.get(self._now, 0.0) + now - self._began
        self._began = now


@dataclass
class Round:
    """The steps, what they gave, and the time that is left.

    Args:
        device: to measure.
        small: whether the shapes are tiny.
        size: pixels of a side of the images of a pair.
        until: the moment, of `time.monotonic`, after which no further step begins.
        file: the record, written after each step.
    """

    device: str
    small: bool
    size: int
    until: float
    file: Path

    def __post_init__(self) -> None:
        self.record: dict[str, Any] = {"machine": machine(self.device), "steps": {}, "left out": []}

    def step(self, name: str, make: Callable[[], Any], needs: float) -> None:
        """Make one step, if `needs` seconds are left; what goes wrong in it is a part of the record."""
        left = self.until - time.monotonic()
        if left < needs:
            self.record["left out"].append(f"{name}: needs about {needs:.0f} s, {max(left, 0):.0f} s were left")
        else:
            began = time.perf_counter()
            try:
                made = make()
            except Exception as reason:  # a step that fails must not cost the others their time on the GPU
                made = {"failed": f"{type(reason).__name__}: {reason}"[:600]}
            self.record["steps"][name] = {"seconds": round(time.perf_counter() - began, 2), "result": made}
            print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)
        self.file.write_text(json.dumps(self.record, indent=1) + "\n", "utf-8")
        forget(self.device)

    @contextmanager
    def model(self, name: str) -> Iterator[Path]:
        """The folder of a model with random weights; the weights are deleted afterwards, for they are gigabytes."""
        with tempfile.TemporaryDirectory() as folder:
            shapes = SMALL[name] if self.small else PUBLISHED[name]
            yield pipelines.build(shapes, Path(folder) / name, torch.float32 if self.small else torch.bfloat16)

    def of_a_model(self, name: str) -> None:
        """Speed, a pair and the layouts of one model in each dtype."""
        if self.until - time.monotonic() < 30:
            self.record["left out"].append(f"{name}: no time to build it")
            return
        with self.model(name) as folder:
            for dtype in DTYPES:
                took = time.perf_counter()
                loaded = load(str(folder), self.device, dtype)
                took = time.perf_counter() - took
                self.step(f"speed {name} {dtype}", partial(self.speed, loaded, took), 15)
                self.step(f"pair {name} {dtype}", partial(self.pair, loaded), 40)
                if dtype == "bf16":
                    self.step(f"layouts {name} {dtype}", partial(self.layouts, loaded), 60)
                del loaded
                forget(self.device)

    def shape(self, model: Any) -> tuple[int, int, int]:
        """Of the latents of one image."""
        return model.latent_shape(self.size, self.size)

    def speed(self, model: Any, took: float) -> dict[str, Any]:
        """Rows of `geodesic bench model` at 1, 4 and 16 points."""
        rows = [measure_speed(model, self.shape(model), batch, 0.2 if self.small else 2.0) for batch in (1, 4, 16)]
        return {"loading": round(took, 2), "rows": [asdict(row) for row in rows]}

    def pair(self, model: Any) -> dict[str, Any]:
        """A whole run of `interpolate` with the local geodesic, 17 frames."""
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats()
        stages = Stages()
        prompts = ("a blue cube", "a yellow cylinder")
        made = geodesic_cli.interpolate(
            *IMAGES, model=model, observer=stages, prompt=prompts, method="geodesic", size=str(self.size), frames=17
        )
        synchronize(self.device)
        stages.close()
        finite = bool(torch.isfinite(made.frames).all())
        peak = torch.cuda.max_memory_allocated() if self.device.startswith("cuda") else None
        evaluations = made.metrics.get("evaluations")
        return {"seconds": stages.seconds, "evaluations": evaluations, "finite": finite, "peak": peak}

    def layouts(self, model: Any) -> dict[str, Any]:
        """Milliseconds of the bare network on 8 points, as it is and laid out or compiled otherwise."""
        predict, batch = model.predict, 8
        network, dtype = predict.unet, predict.place[1]
        latents = torch.randn(batch, *self.shape(model), generator=torch.Generator().manual_seed(0))
        latents = latents.to(model.device, dtype)
        told = model.prompts.along(())(torch.linspace(0, 1, batch, device=model.device)).to(model.device, dtype)
        times = torch.full((batch,), 300.0, device=model.device)

        @torch.no_grad()
        def milliseconds(asked: Any, laid: Any) -> float:
            doors = []
            for _ in range(12):
                synchronize(self.device)
                began = time.perf_counter()
                predict.ask(asked, laid, times, told)
                synchronize(self.device)
                doors.append(1e3 * (time.perf_counter() - began))
            return statistics.median(doors[2:])

        made = {"as it is": milliseconds(network, latents)}
        last = latents.to(memory_format=torch.channels_last)
        made["compiled"] = milliseconds(torch.compile(network), latents)
        network.to(memory_format=torch.channels_last)
        made["channels last"] = milliseconds(network, last)
        made["channels last, compiled"] = milliseconds(torch.compile(network), last)
        network.to(memory_format=torch.contiguous_format)
        return made

    def bits(self) -> dict[str, Any]:
        """clevr-mini in fp32 on the CPU, on the device, and there once more."""

        def run(device: str) -> torch.Tensor:
            model = load("clevr-mini", device, "fp32")
            made = geodesic_cli.interpolate(*IMAGES, model=model, method="geodesic", frames=9, pacing="path")
            return made.frames.cpu()

        here, there, again = run("cpu"), run(self.device), run(self.device)
        apart = (here - there).abs()
        largest, middle = float(apart.max()), float(apart.median())
        return {"same bytes twice": torch.equal(there, again), "largest": largest, "median": middle}


def cuda_tests() -> dict[str, Any]:
    """`pytest -m gpu`, and its last lines."""
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "gpu", str(ROOT / "tests")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    return {"exit": done.returncode, "said": done.stdout.strip().splitlines()[-15:]}


def synchronize(device: str) -> None:
    """Wait until the device has nothing to do."""
    if device != "cpu":
        torch.accelerator.synchronize()


def forget(device: str) -> None:
    """Give back the memory of what is no longer needed."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def machine(device: str) -> dict[str, str]:
    """What the numbers were measured on."""
    name = torch.cuda.get_device_name(torch.device(device)) if device.startswith("cuda") else platform.processor()
    versions = {"torch": torch.__version__, "python": platform.python_version(), "geodesic": geodesic_cli.__version__}
    return {"device": device, "name": name, "cuda": str(torch.version.cuda), **versions}


def table(record: dict[str, Any]) -> str:
    """The record in Markdown."""
    about, steps = record["machine"], record["steps"]
    lines = [f"{about['name']} ({about['device']}), torch {about['torch']}, CUDA {about['cuda']}", ""]
    lines += ["| step | seconds | what came out |", "|---|---|---|"]
    for name, step in steps.items():
        lines.append(f"| {name} | {step['seconds']:.1f} | {in_words(step['result'])} |")
    lines += [f"| {told.partition(':')[0]} | - | left out:{told.partition(':')[2]} |" for told in record["left out"]]
    return "\n".join(lines) + "\n"


def in_words(made: dict[str, Any]) -> str:
    """The result of one step in a cell."""
    if "failed" in made:
        return "FAILED: " + made["failed"].replace("|", "/").replace("\n", " ")
    if "said" in made:
        return f"exit {made['exit']}: {made['said'][-1].strip('= ') if made['said'] else 'nothing said'}"
    if "rows" in made:
        cells = [f"{r['evaluations']:.1f}/s at {r['batch']} ({100 * r['overhead']:+.1f}%)" for r in made["rows"]]
        peak = max((r["peak"] or 0) for r in made["rows"])
        return f"{', '.join(cells)}; {peak / 1e9:.1f} GB; loaded in {made['loading']:.1f} s"
    if "evaluations" in made:
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in made["seconds"].items())
        peak = "" if made["peak"] is None else f"; {made['peak'] / 1e9:.1f} GB"
        return f"{parts}; {made['evaluations']} evaluations{peak}{'' if made['finite'] else '; NOT FINITE'}"
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in made.items()
    )


def main() -> None:
    """Make the round."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--device", default="cuda")
    asked.add_argument("--small", action="store_true", help="tiny shapes, to try the round on a CPU")
    asked.add_argument("--budget", type=float, default=460.0, help="seconds after which no further step begins")
    asked.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder of round.json and round.md")
    a = asked.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + a.budget
    made = Round(a.device, a.small, 64 if a.small else 512, until, a.out / "round.json")
    if a.device.startswith("cuda"):
        made.step("tests", cuda_tests, 60)
    made.step("bits", made.bits, 20)
    for name in MODELS:
        made.of_a_model(name)
    text = table(made.record)
    (a.out / "round.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()

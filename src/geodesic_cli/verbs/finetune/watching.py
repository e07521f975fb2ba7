"""A training as it can be watched while it goes on: its curves in the folder, and the trackers of accelerate.

`loss.csv` and `loss.png` are written anew every few seconds, so that a look into the folder shows the training as it
is; what is there at the end depends on the steps alone. Trackers (TensorBoard, Weights & Biases and whatever else
accelerate knows) are told each step as it is done, under the folder's name.
"""

import math
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from geodesic_cli.errors import InputError, first_line
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.settings.option import did_you_mean
from geodesic_cli.verbs.finetune.training import HISTORY
from geodesic_cli.verbs.finetune.writing import write_curves

LOGS = "logs"
"""Folder of the trackers that write files, below the folder of the run."""
PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "comet_ml": ("comet_ml",)}
"""Packages of a tracker, any one of which is enough, where they are not called like the tracker."""
TABLE_SECONDS, PLOT_SECONDS = 5.0, 30.0
"""Between two writings of the table, and of the plot, of a training that goes on."""


def require_trackers(settings: FinetuneSettings) -> None:
    """Refuse a tracker that accelerate does not know, or whose package is not there.

    Raises:
        InputError: which, and what to do.
    """
    known = _known() if settings.report_to else {}
    for name in settings.report_to:
        if name not in known:
            raise InputError(
                f"--report-to takes {', '.join(sorted(known))}; got {name!r}.", did_you_mean(name, sorted(known))
            )
        packages = PACKAGES.get(name, (name,))
        if not any(find_spec(package) for package in packages):
            raise InputError(
                f"--report-to {name} needs the package {packages[0]}, which is not installed.",
                f"Install it: pip install {packages[0]}. Or leave --report-to out: loss.csv and loss.png are written "
                "in any case.",
            )


class TrainingWatch:
    """What is told of each step, beside the progress on the screen.

    Args:
        directory: of the run; None where nothing is written.
        settings: of the run.
    """

    def __init__(self, directory: RunDirectory | None, settings: FinetuneSettings) -> None:
        self._directory = directory
        self._trackers = [] if directory is None else _started(settings, directory.folder)
        self._table = self._plot = time.monotonic()

    def step(self, history: Sequence[tuple[float, ...]]) -> None:
        """After a step, whose numbers are the last ones of the history."""
        values = dict(zip(HISTORY, history[-1], strict=True))
        step = int(values.pop("step"))
        told = {name: value for name, value in values.items() if math.isfinite(value)}
        for tracker in self._trackers:
            tracker.log(told, step=step)
        now = time.monotonic()
        if self._directory is not None and now - self._table > TABLE_SECONDS:
            drawn = now - self._plot > PLOT_SECONDS
            write_curves(self._directory, history, drawn=drawn)
            self._table = time.monotonic()
            self._plot = self._table if drawn else self._plot

    def close(self) -> None:
        """At the end of the training, however it came."""
        for tracker in self._trackers:
            tracker.finish()


def _started(settings: FinetuneSettings, folder: Path) -> list[Any]:
    made = []
    for name in settings.report_to:
        kind = _known()[name]
        try:
            if kind.requires_logging_directory:
                tracker = kind(folder.name, logging_dir=str(folder / LOGS))
            else:
                tracker = kind(folder.name)
            if hasattr(tracker, "start"):  # earlier versions of accelerate start by themselves
                tracker.start()
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"The tracker {name} could not be started ({first_line(error)}).",
                "Mend that, or leave --report-to out: loss.csv and loss.png are written in any case.",
            ) from error
        made.append(tracker)
    return made


def _known() -> dict[str, Any]:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    return {str(getattr(name, "value", name)): kind for name, kind in LOGGER_TYPE_TO_CLASS.items()}

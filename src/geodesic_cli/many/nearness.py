"""Which images of a class may be a pair: those that LPIPS finds near."""

from functools import cache
from pathlib import Path

from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.evaluation import lpips
from geodesic_cli.evaluation.resizing import squashed
from geodesic_cli.evaluation.ruler.needs import NEEDS, here, lacking
from geodesic_cli.layouts import Near
from geodesic_cli.settings import EvaluateSettings
from geodesic_cli.verbs.evaluate.networks import LPIPS_SIDE


def near_for(settings: EvaluateSettings) -> Near | None:
    """Whether two images are a pair by the settings; None where all are.

    Raises:
        InputError: the weights of LPIPS are not here. No other measure takes their place.
    """
    s = settings
    if s.lpips_below is None:
        return None
    why = lacking(NEEDS["lpips"], s.metric_weights)
    file = here(NEEDS["lpips"], s.metric_weights)
    if why or file is None:
        raise InputError(f"--lpips-below needs {why}.", "Leave it out to pair the images whatever their distance.")
    distance = lpips("alex", str(file.parent), "cpu" if s.device == "auto" else s.device)
    bound = s.lpips_below

    @cache
    def image(path: Path) -> Tensor:
        return squashed(media.read_image(path)[None], LPIPS_SIDE)

    return lambda a, b: float(distance(image(a), image(b))) < bound

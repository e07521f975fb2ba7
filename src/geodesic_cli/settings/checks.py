"""Checks of single values: what was needed, what was given, what to do."""

import math
import re
from difflib import get_close_matches

from geodesic_cli.errors import InputError

ANY_SEED = "Any whole number in this range is as good as any other."


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is not allowed, naming the nearest one that is."""
    if value not in allowed:
        near = get_close_matches(value, allowed, n=1)
        raise InputError(
            f"--{name} is one of {', '.join(allowed)}; got {value!r}.", f"Did you mean {near[0]!r}?" if near else ""
        )


def at_least(name: str, value: int, least: int, hint: str) -> None:
    """Refuse a number below ``least``."""
    if value < least:
        raise InputError(f"--{name} needs at least {least}; got {value}.", hint)


def between(name: str, value: float, low: float, high: float, hint: str, open_below: bool = False) -> None:
    """Refuse a number outside [low, high], or (low, high] where it is open below, and what is no number."""
    inside = math.isfinite(value) and (low < value if open_below else low <= value) and value <= high
    if not inside:
        bound = f"above {low:g} and up to {high:g}" if open_below else f"from {low:g} to {high:g}"
        raise InputError(f"--{name} takes numbers {bound}; got {value:g}.", hint)


def seed_in_range(seed: int) -> None:
    """Refuse a seed that no generator takes."""
    between("seed", seed, 0, 2**63 - 1, ANY_SEED)


def resume_of_a_folder(resume: bool, out: str | None) -> None:
    """Refuse to go on with a run that is not named."""
    if resume and out is None:
        raise InputError("--resume needs the folder of the run to go on with.", "Pass --out FOLDER.")


def prompts_for(images: int, prompts: tuple[str, ...]) -> None:
    """Refuse a number of prompts that is not none, one for all images, or one for each."""
    if len(prompts) not in (0, 1, images):
        takes = "1 image takes no prompt or one" if images == 1 else f"{images} images take no prompt, one, or {images}"
        raise InputError(
            f"{takes}; got {len(prompts)}.", "Pass --prompt once for all images, or once for each, in their order."
        )


def position(name: str, value: str | None) -> None:
    """Refuse what is neither the number of a frame nor a time in seconds: `12` or `1.5s`."""
    if value is not None and re.fullmatch(r"\s*([0-9]{1,9}|([0-9]*\.?[0-9]+|[0-9]+\.)\s*s)\s*", value) is None:
        raise InputError(
            f"--{name} takes the number of a frame or a time in seconds; got {value!r}.", "Write 12 or 1.5s."
        )

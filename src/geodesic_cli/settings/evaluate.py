"""The settings of `geodesic evaluate`."""

import re

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.methods import METHODS, named_methods
from geodesic_cli.settings.option import ANY, AtLeast, above, checked, choice_opt, did_you_mean, opt, record

PROTOCOL_NAMES = ("everything", "offline", "scenes", "diffmorpher", "freemorph", "pdg", "saito", "vbench", "isodiff")
LAYOUT_NAMES = ("ours", "frames", "methods", "subsets", "names", "films", "strips")
MADE_BY = "slerp,geodesic"
MADE_FRAMES, SCENES_FRAMES = 9, 5
MADE = "made"
"""The folder, below that of the run, in which the pairs are drawn."""
SCENES_PAIRS, MOST_SCENES = "scenes:", 99_999
MEASURE, MAKE, SETS = "What is measured", "Drawing pairs first (--pairs)", "Two sets of images"


def share_of(text: str) -> tuple[int, int]:
    """The number of a part, from 1, and how many there are, of a text such as `2/8`.

    Raises:
        InputError: no such text.
    """
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", text)
    part, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part <= parts:
        raise InputError(f"--part takes K/N with K from 1 to N; got {text!r}.", "Pass --part 1/2 and --part 2/2.")
    return part, parts


def scenes_asked(pairs: str | None) -> int | None:
    """How many pairs of rendered scenes a text such as `scenes:20` asks for; None of any other text.

    Raises:
        InputError: it begins so, and no number of pairs follows.
    """
    if pairs is None or not pairs.startswith(SCENES_PAIRS):
        return None
    number = pairs.removeprefix(SCENES_PAIRS)
    count = int(number) if re.fullmatch(r"[0-9]{1,6}", number) else 0
    if not 1 <= count <= MOST_SCENES:
        raise InputError(
            f"--pairs {SCENES_PAIRS}N takes a whole number N of pairs from 1 to {MOST_SCENES}; got {pairs!r}.",
            f"Pass --pairs {SCENES_PAIRS}20 for instance.",
        )
    return count


def _part(name: str, value: str) -> None:
    share_of(value)


def _named_protocol(name: str, value: str) -> None:
    if value not in PROTOCOL_NAMES:
        raise InputError(
            f"The protocols are {', '.join(PROTOCOL_NAMES)}; got {value!r}.", did_you_mean(value, PROTOCOL_NAMES)
        )


@record(part="model revision variant lora vae text_embedding", seed="resume overwrite")
class EvaluateSettings(shared.ModelOptions, shared.RunOptions):
    """`geodesic evaluate`."""

    sources: tuple[str, ...] = opt(
        (), "Runs, folders of frames, films; each further one is another method.", argument=True, metavar="FRAMES..."
    )
    pairs: str | None = opt(
        None, "Draw these first: a folder of X_0, X_1, a table with a,b, or scenes:N.", metavar="PLACE"
    )
    protocol: str = opt(
        None, f"One of {', '.join(PROTOCOL_NAMES)}.", check=_named_protocol, by=lambda given: _protocol(given)
    )
    layout: str | None = choice_opt(None, LAYOUT_NAMES, ". Default: found out.")
    strip: int | None = opt(
        None, "Frames side by side in each image.", MEASURE, AtLeast(3, "A strip of 7 frames takes --strip 7.")
    )
    inputs: str | None = opt(None, "Folder of X_0, X_1: what the sequence X goes between.", MEASURE, metavar="FOLDER")
    captions: str | None = opt(None, "JSON or table of captions. Default: one beside the pairs.", MAKE, metavar="FILE")
    lpips_below: float | None = opt(
        None, "Pairs of a class: only images whose LPIPS is below it.", MAKE, above(0, 10, "0.5 is a good start.")
    )
    limit: int | None = opt(
        None, "Most sequences of a method.", check=AtLeast(1, "Leave it out to take all.", ANY), free=True
    )
    metric_weights: str | None = opt(
        None, "Folder with trained weights, sought there first.", MEASURE, metavar="FOLDER"
    )
    samples: str | None = opt(None, "A folder of images, to compare with --real.", SETS, metavar="FOLDER")
    real: str | None = opt(None, "The folder that they are compared with.", SETS, metavar="FOLDER")
    methods: str = opt(MADE_BY, f"Of {', '.join(METHODS)}, with commas between.", MAKE)
    frames: int | None = opt(
        None,
        f"Frames of each sequence. Default: the protocol's, or {MADE_FRAMES}; {SCENES_FRAMES} of scenes.",
        MAKE,
        AtLeast(3, f"{MADE_FRAMES} are a good start."),
    )
    tau: float | None = opt(
        None, "Noise level of the paths. Default: that of each method.", MAKE, above(0, 1, "0.4 is a good start.")
    )
    part: str | None = opt(None, "Do the K-th of N parts; run all N.", MAKE, _part, metavar="K/N")
    model: str = opt("", "Draws the pairs (else clevr-mini); named, its density is measured.")
    seed: int = shared.seed_opt("Of draws, subsets and scenes.")

    def __post_init__(self) -> None:
        checked(self)
        given = [name for name in ("sources", "pairs", "samples") if getattr(self, name)]
        if len(given) != 1:
            raise InputError(
                f"Sequences to measure are needed, or --pairs to draw, or --samples with --real; got "
                f"{' and '.join(given) or 'none'}.",
                "Pass one of them: geodesic evaluate frames/, or geodesic evaluate --pairs scenes:20.",
            )
        if (self.samples is None) != (self.real is None):
            raise InputError("--samples and --real belong together.", "Pass both.")
        self.chosen, self.scenes  # noqa: B018  refuses what is no method, and no number of scenes
        shared.resume_of_a_folder(self)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The methods that are drawn, each once."""
        return named_methods("methods", self.methods)

    @property
    def scenes(self) -> int | None:
        """How many pairs of rendered scenes are drawn; None for other pairs."""
        return scenes_asked(self.pairs)


def _protocol(given: EvaluateSettings) -> str:
    return "scenes" if (given.pairs or "").startswith(SCENES_PAIRS) else "everything"

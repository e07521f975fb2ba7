"""The settings of `geodesic check` and `geodesic models`."""

from geodesic_cli.settings.option import MODEL, AtLeast, checked, opt, record
from geodesic_cli.settings.shared import ModelOptions, prompt_opt


@record()
class ModelsSettings:
    """`geodesic models`."""

    name: str | None = opt(None, "A short name, folder, file or Hub id. Default: all.", argument=True, metavar="NAME")


@record()
class CheckSettings(ModelOptions):
    """`geodesic check`; without a model it looks at the machine alone."""

    model: str = opt("", "Load this model and test it here.")
    prompt: tuple[str, ...] = prompt_opt()
    side: int | None = opt(
        None,
        "Side of the test pictures in pixels. Default: the model's; at most 256 on a CPU.",
        MODEL,
        AtLeast(8, "256 shows most of what can go wrong."),
    )

    def __post_init__(self) -> None:
        checked(self)

"""The settings of `geodesic bench solver` and `geodesic bench model`."""

from geodesic_cli.errors import InputError
from geodesic_cli.settings.option import COMMON, AtLeast, OneOf, above, checked, opt, record
from geodesic_cli.settings.shared import FolderOptions, ModelOptions, seed_opt, size_opt

PROBLEMS = ("closed", "mixture", "high", "noisy", "clevr")
SOLVERS = ("surrogate", "relaxation", "gradient-flow", "gradient-flow-tuned", "scipy")
TABLE = "Folder for table.md and bench.json. Default: none."


@record()
class BenchSettings(FolderOptions):
    """`geodesic bench solver`."""

    problems: tuple[str, ...] = opt(
        ("closed", "mixture", "high", "noisy"),
        f"Groups of problems, of {', '.join(PROBLEMS)}.",
        check=OneOf(PROBLEMS),
        commas=True,
        metavar="A,B,...",
    )
    solvers: tuple[str, ...] = opt(
        SOLVERS, f"Of {', '.join(SOLVERS)}.", check=OneOf(SOLVERS), commas=True, metavar="A,B,..."
    )
    tol: float = opt(0.03, "Relative residual at which a solver may stop.", check=above(0, 1, "0.03 is a good start."))
    seed: int = seed_opt("Of the noise, and of the scenes.", panel=COMMON)
    model: str = opt("clevr-mini", "Of the group clevr.")
    pairs: int = opt(3, "Pairs of rendered scenes in the group clevr.", check=AtLeast(1, "3 take a few minutes."))
    out: str | None = opt(None, TABLE)

    def __post_init__(self) -> None:
        for option, values, allowed in (("problems", self.problems, PROBLEMS), ("solvers", self.solvers, SOLVERS)):
            if not values:
                raise InputError(f"--{option} needs at least one of {', '.join(allowed)}; got none.", "Name one.")
        checked(self)


@record(
    model="revision variant lora vae text_embedding device dtype low_memory compile size batches seconds out overwrite"
)
class BenchModelSettings(ModelOptions, FolderOptions):
    """`geodesic bench model`."""

    device: str = opt("auto", "One or several of auto, cpu, cuda, cuda:1 and mps.", metavar="A,B,...")
    dtype: str = opt("auto", "One or several of auto, fp32, fp16 and bf16.", metavar="A,B,...")
    size: str | None = size_opt(metavar="N|WxH")
    batches: tuple[int, ...] = opt(
        (1, 4, 16),
        "Points evaluated at once, a row for each.",
        check=AtLeast(1, "1,4,16 is a good start."),
        commas=True,
        metavar="N,N,...",
    )
    seconds: float = opt(
        5.0,
        "Spent on each row, about, after warming up.",
        check=above(0, 3600, "5 is enough for a figure of a percent."),
    )
    out: str | None = opt(None, TABLE)

    def __post_init__(self) -> None:
        if not self.batches:
            raise InputError("--batches needs at least one number; got none.", "1,4,16 is a good start.")
        for option, values in (("device", self.devices), ("dtype", self.dtypes)):
            if not values:
                raise InputError(f"--{option} needs at least one; got none.", "auto chooses.")
        checked(self)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices, one by one."""
        return tuple(word.strip() for word in self.device.split(",") if word.strip())

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes, one by one."""
        return tuple(word.strip() for word in self.dtype.split(",") if word.strip())

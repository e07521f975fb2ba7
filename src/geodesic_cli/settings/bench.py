"""The settings of `geodesic bench`."""

from dataclasses import dataclass

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, one_of, seed_in_range

PROBLEMS = ("closed", "mixture", "high", "noisy", "clevr")
SOLVERS = ("surrogate", "relaxation", "gradient-flow", "gradient-flow-tuned", "scipy")


@dataclass(frozen=True)
class BenchSettings:
    """`geodesic bench solver`.

    Attributes:
        problems: groups of problems.
        solvers: names of solvers.
        tol: relative residual at which a solver may stop.
        seed: of the noise, and of the scenes.
        model: of the group clevr: alias, folder, single .safetensors file, or Hub id.
        pairs: of rendered scenes in the group clevr.
        out: a folder for the table and the JSON; None writes nothing.
        overwrite: replace the run in `out`.
    """

    problems: tuple[str, ...] = ("closed", "mixture", "high", "noisy")
    solvers: tuple[str, ...] = SOLVERS
    tol: float = 0.03
    seed: int = 0
    model: str = "clevr-mini"
    pairs: int = 3
    out: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for option, values, allowed in (("problems", self.problems, PROBLEMS), ("solvers", self.solvers, SOLVERS)):
            if not values:
                raise InputError(f"--{option} needs at least one of {', '.join(allowed)}; got none.", "Name one.")
            for value in values:
                one_of(option, value, allowed)
        between("tol", self.tol, 0, 1, "0.03 is a good start.", open_below=True)
        seed_in_range(self.seed)
        at_least("pairs", self.pairs, 1, "3 take a few minutes.")

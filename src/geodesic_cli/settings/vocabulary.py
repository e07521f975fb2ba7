"""The words for paths that a person reads: the same on sheets, plots, tables, in sentences and in the documents.

What options and files call `lerp`, `slerp`, `geodesic` and `global` has one name each. A path is called a geodesic only
where it solves the geodesic equation to the tolerance; otherwise it is what it is, a short path, with its residual.
"""

from collections.abc import Sequence

PATH_NAMES = {
    "lerp": "straight line",
    "slerp": "great circle",
    "geodesic": "local geodesic",
    "global": "global geodesic",
    "blend": "blend of latents",
    "corrected": "corrected great circle",
    "published": "published geodesic",
    "attention": "mixed attention",
}
"""The name of a path, by the method that finds it."""
FLAT_METHODS = ("lerp", "blend")
"""Methods whose paths run through flat space: their weighted lengths compare with none on the sphere."""
_SOLVED = ("geodesic", "global", "published")
"""Methods whose paths are to be geodesics."""
FAILED = "not converged"
"""What is said wherever a path is drawn or named whose solver did not end at a geodesic."""


def path_kind(method: str) -> str:
    """What a path is called before it is known whether it is a geodesic: `global path`, `great circle`."""
    return PATH_NAMES[method].replace("geodesic", "path")


def is_geodesic(residual: float, tol: float) -> bool:
    """Whether a path with this relative residual may be called a geodesic, where the equation counts to `tol`."""
    return residual <= tol


def path_name(method: str, residual: float, tol: float, converged: bool = True, number: bool = True) -> str:
    """What to call a path.

    Args:
        method: of `PATH_NAMES`.
        residual: relative, of the geodesic equation, as measured.
        tol: the residual up to which the equation counts as solved.
        converged: whether the solver said so.
        number: whether the residual of what is no geodesic is told.

    Returns:
        Its name, or for what is no geodesic such as `local short path, residual 0.56, not converged`.
    """
    name = PATH_NAMES.get(method, method)
    if method not in _SOLVED:
        return name
    if not is_geodesic(residual, tol):
        told = f", residual {residual:.2g}" if number else ""
        return f"{name.replace('geodesic', 'short path')}{told}, {FAILED}"
    return name if converged else f"{name}, {FAILED}"


def fared(chosen: bool, longer: bool) -> str:
    """What follows the name of a path in a legend: whether its frames are the result, and whether it lost."""
    told = ["in frames/" if chosen else "not chosen", *(["longer"] if longer else [])]
    return f" ({', '.join(told)})"


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

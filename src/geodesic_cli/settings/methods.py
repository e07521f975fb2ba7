"""The ways from one image to the other that can be drawn, the words for them, and where each is from."""

from collections.abc import Iterable

from geodesic_cli.errors import InputError
from geodesic_cli.settings.kinship import kin_of
from geodesic_cli.settings.option import did_you_mean

METHODS = ("geodesic", "slerp", "lerp", "global", "blend", "corrected", "published", "attention")
OTHER_NAMES = {"local": "geodesic"}
"""What a method may be called, too."""
SEARCHED = ("clevr-mini",)
"""Models on which 50 pairs were compared and the search was the better way; it is for those made from them."""
LOCALLY_BETTER = ("emoji-mini",)
"""Models on which 59 pairs were compared and the local geodesic was the better way."""
NO_METHODS = "none"
COMPARED_WITH = "lerp,slerp,geodesic"
"""What is drawn beside the result where no methods are named."""
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0", NO_METHODS, "")
SOURCES = {
    "geodesic": "Geodesic of the model's density, solved from the great circle by the solver of this package. The idea "
    "is of Yu et al., Probability density geodesics, CVPR 2025.",
    "slerp": "Great circle between the noisy latents, the usual baseline since Song et al., DDIM, ICLR 2021; norms go "
    "geometrically from one end's to the other's.",
    "lerp": "Straight line between the noisy latents.",
    "global": "Shortest path found among samples of the model, shortened to a geodesic; of this package.",
    "blend": "Straight line between the clean latents, decoded; no network in between.",
    "corrected": "Great circle with entries of more than two standard deviations clipped: a part of the idea of Zheng "
    "et al., NoiseDiffusion, ICLR 2024, without its added noise and images.",
    "published": "Yu et al., Probability density geodesics, CVPR 2025: their descent, direction, exponent and learning "
    "rate, converted to a score; their time is not drawn anew for each call.",
    "attention": "Great circle between the noisy latents, drawn with keys and values of both ends mixed into every "
    "attention layer: the fused inner attention of He et al., AID, NeurIPS 2024. Frames are spaced as those of all "
    "methods here, not by their choice of steps.",
}
"""Where each method is from, in words."""


def method_reason(method: str, model: str, images: int) -> str:
    """Why this method was taken where none was asked for, in one sentence.

    Args:
        method: global or geodesic.
        model: its name or folder.
        images: how many were given; one stands for a clip.
    """
    kin = kin_of(model)
    if method == "global":
        reason = f"it was the better way on 50 pairs with {kin}"
    elif images < 2:
        reason = "neighbours in a clip are near each other"
    elif kin in SEARCHED:
        reason = "an option or a density of the local solver is asked for"
    elif kin in LOCALLY_BETTER:
        reason = f"it was the better way on 59 pairs with {kin}"
    else:
        reason = "it costs the least, and nothing was measured with this model"
    return f"Method: {'global' if method == 'global' else 'local'} geodesic, because {reason}; see --method."


def method_called(name: object) -> object:
    """A method by any of its names; what is none stays as it is, for its check to refuse."""
    return OTHER_NAMES.get(name, name) if isinstance(name, str) else name


def methods_called(given: object) -> object:
    """The methods of a list such as `blend,local` as one text, each once; of yes `COMPARED_WITH`, of no `NO_METHODS`.

    A list of texts is read as well. What is neither stays as it is.

    Raises:
        InputError: a name of no method.
    """
    if isinstance(given, list | tuple) and all(isinstance(each, str) for each in given):
        given = ",".join(map(str, given))
    if isinstance(given, bool):
        given = YES[0] if given else NO[0]
    if not isinstance(given, str):
        return given
    if given.strip().lower() in YES:
        return COMPARED_WITH
    return NO_METHODS if given.strip().lower() in NO else ",".join(named_methods("compare", given))


def named_methods(option: str, text: str) -> tuple[str, ...]:
    """The methods of a text with commas between, each once.

    Args:
        option: that has the text, for the sentence.
        text: names.

    Raises:
        InputError: a name of no method, or no name.
    """
    words = _each(word.strip() for word in text.split(","))
    for word in words:
        if word not in METHODS:
            raise InputError(
                f"--{option} takes names of {', '.join(METHODS)} with commas between; got {word!r}.",
                did_you_mean(word, (*METHODS, *OTHER_NAMES)),
            )
    if not words:
        raise InputError(f"--{option} needs one method at least; got none.", f"Pass --{option} {COMPARED_WITH}.")
    return words


def _each(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(OTHER_NAMES.get(word, word) for word in words if word))

"""From pairs to the settings of their runs: what the command line says for all, what a table says for one."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast, get_type_hints

from geodesic_cli.errors import GeodesicError, InputError
from geodesic_cli.layouts import ImagePair
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.option import did_you_mean
from geodesic_cli.settings.shared import FolderOptions, RunOptions

FOLDERS = {each.name for kind in (FolderOptions, RunOptions) for each in fields(cast(Any, kind))} | {"images"}
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Row:
    """One run.

    Args:
        name: of the pair.
        folder: of the run, below that of all of them.
        options: every setting that is not its default.
        wrong: what is wrong with them; empty where nothing is.
    """

    name: str
    folder: str
    options: Mapping[str, Any]
    wrong: str = ""

    def settings(self, root: Path, resume: bool) -> InterpolateSettings:
        """The settings of the run in a folder below `root`."""
        return InterpolateSettings(**self.options, out=str(root / self.folder), resume=resume, overwrite=False)


def row_of(pair: ImagePair, given: Mapping[str, Any], folder: str) -> Row:
    """The run of a pair.

    Args:
        pair: the images, their prompts, and options as a table has them.
        given: options for all pairs, as values of the settings.
        folder: of the run.
    """
    own = {"prompt": pair.prompts} if pair.prompts else {}
    return row_of_images((str(pair.a), str(pair.b)), {**given, **own}, folder, pair)


def row_of_images(images: tuple[str, ...], given: Mapping[str, Any], folder: str, pair: ImagePair | None = None) -> Row:
    """The run of any images.

    Args:
        images: two or more, or a clip.
        given: options, as values of the settings.
        folder: of the run.
        pair: what the images are, with options as a table has them; without it the run is called like its folder.
    """
    options = {name: value for name, value in given.items() if name not in FOLDERS} | {"images": images}
    name, texts = (folder, {}) if pair is None else (pair.name, pair.options)
    try:
        row = Row(name, folder, options | {key: _read(key, text) for key, text in texts.items()})
        row.settings(Path(), False)
    except GeodesicError as error:
        return Row(name, folder, options, str(error))
    return row


def _read(name: str, text: str) -> Any:
    """A value of an option from a table."""
    hints = {key.replace("_", "-"): hint for key, hint in get_type_hints(InterpolateSettings).items()}
    word = name.replace("_", "-")
    if word not in hints or name in FOLDERS:
        raise InputError(
            f"The table has a column {name}, and there is no option --{word} for a pair.",
            did_you_mean(word, hints, "Rename it, or leave it out."),
        )
    hint = hints[word]
    if hint == tuple[str, ...]:
        return (text,)
    if hint is bool:
        if text.lower() not in (*YES, *NO):
            raise InputError(f"The column {name} takes yes or no; got {text!r}.", "Mend the table.")
        return text.lower() in YES
    for kind, words in ((int, "a whole number"), (float, "a number")):
        if hint in (kind, kind | None):
            try:
                return kind(text)
            except ValueError:
                raise InputError(f"The column {name} takes {words}; got {text!r}.", "Mend the table.") from None
    return text

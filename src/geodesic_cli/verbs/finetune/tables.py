"""Training data from a table of the `datasets` library: a name on the Hub, or a folder of parquet files.

The library is an extra (`geodesic-cli[data]`), asked for before any work. A row has a picture and, where the model
reads text, a caption; rows are decoded as they are needed.
"""

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError, first_line
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.settings.option import did_you_mean
from geodesic_cli.verbs.finetune.deck import Deck

ROWS_LOOKED_AT = 64
"""Rows whose pictures tell a table from another."""


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Rows of a table as training data. `read_rows` makes it.

    Args:
        rows: a `datasets.Dataset` with the pictures decoded.
        column: of the pictures.
        deck: captions and order.
        size: side of the square that is cut from the middle of each picture.
    """

    rows: Any
    column: str
    deck: Deck
    size: int

    @cached_property
    def digest(self) -> str:
        """Tells other examples apart by the captions and some of the pictures."""
        found = hashlib.sha256(json.dumps(self.deck.captions).encode())
        count = len(self.rows)
        for index in range(0, count, max(1, count // ROWS_LOOKED_AT)):
            found.update(self.read(index).numpy().tobytes())
        return found.hexdigest()

    def batch(self, step: int, total: int, places: Sequence[int]) -> tuple[Tensor, list[str]]:
        """See `data.Data`."""
        return self.deck.batch(step, total, places, self.read)

    def prompts(self, count: int) -> list[str]:
        """See `data.Data`."""
        return self.deck.prompts(count)

    def read(self, index: int) -> Tensor:
        """A picture (3, h, w) by its number.

        Raises:
            InputError: the row has none.
        """
        picture = self.rows[index][self.column]
        if picture is None:
            raise InputError(f"Row {index} of the table has no picture in its column {self.column}.", "Leave it out.")
        (image,) = media.pictures(picture)
        assert isinstance(image, Tensor)  # a PIL image is in memory
        return media.resize(image, self.size, self.size)


def parquet_files(folder: str) -> list[str]:
    """The parquet files below a folder that holds no pictures; none where it is no such folder."""
    root = Path(folder)
    if not root.is_dir() or media.image_files(root, deep=True)[0]:
        return []
    return sorted(str(path) for path in root.rglob("*.parquet"))


def require_library() -> Any:
    """The `datasets` library.

    Raises:
        InputError: it is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"A table of pictures needs the package datasets, which is not installed ({first_line(error)}).",
            "Install the extra: pip install 'geodesic-cli[data]'. Or pass --data FOLDER of images.",
        ) from error
    return datasets


def read_rows(settings: FinetuneSettings, size: int) -> ImageTable:
    """The rows that the settings name.

    Raises:
        InputError: the library, the table or a column is not there.
    """
    library = require_library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the library and those under it have to say to each other
        return _rows_of(library, settings, size)


def _rows_of(library: Any, settings: FinetuneSettings, size: int) -> ImageTable:
    s = settings
    files = [] if s.dataset_name else parquet_files(s.data)
    name = s.dataset_name or s.data
    try:
        if files:
            rows = library.load_dataset("parquet", data_files=files, split="train")
        else:
            table, colon, config = str(s.dataset_name).partition(":")
            rows = library.load_dataset(table, config if colon else None, split="train")
    except (OSError, ValueError, RuntimeError, library.exceptions.DatasetsError) as error:
        raise InputError(
            f"The table {name} could not be read ({first_line(error)}).",
            "Pass a name on the Hub that can be reached, or --data FOLDER with parquet files or images.",
        ) from error
    if s.image_column not in rows.column_names:
        raise InputError(
            f"The table {name} has no column {s.image_column!r}; it has {', '.join(rows.column_names)}.",
            did_you_mean(s.image_column, rows.column_names, "Name the one of the pictures with --image-column."),
        )
    if not len(rows):
        raise InputError(f"The table {name} has no rows.", "Pass another one.")
    captions = _captions(rows, s.caption_column, name)
    rows = rows.cast_column(s.image_column, library.Image())
    deck = Deck(captions, s.seed, s.random_flip, s.proportion_empty_prompts)
    if s.max_train_samples is not None:
        kept = deck.some(s.max_train_samples)
        rows, deck = rows.select(kept), deck.only(kept)
    return ImageTable(rows, s.image_column, deck, size)


def _captions(rows: Any, column: str, name: str) -> tuple[str, ...]:
    """One text a row; the first of several. Empty texts where there is no such column."""
    if column not in rows.column_names:
        return ("",) * len(rows)
    captions = []
    for index, given in enumerate(rows[column]):
        text = given[0] if isinstance(given, list | tuple) and given else given
        if not isinstance(text, str):
            raise InputError(
                f"Row {index} of the table {name} has a caption that is no text: {text!r}.",
                "Name the column of the captions with --caption-column.",
            )
        captions.append(text)
    return tuple(captions)

"""Images with labels, as people have them: a table of files, or a folder with a folder for each label."""

from dataclasses import dataclass
from pathlib import Path

from geodesic_cli import media
from geodesic_cli.errors import InputError

IMAGE_COLUMNS = ("image", "name", "file_name", "filename", "file", "path")
"""How the column of the files may be called, the first that is there."""


@dataclass(frozen=True)
class LabelledImages:
    """Files and what is known of each.

    Args:
        files: n of them.
        labels: for each attribute, n texts.
    """

    files: tuple[str, ...]
    labels: dict[str, tuple[str, ...]]


def labelled_images(source: str) -> LabelledImages:
    """The images of a table or of a folder with their labels.

    A table has a column `image` (or `name`, `file_name`), relative to the table, and a column for each attribute, such
    as `label`; rows with an empty field are left out. In a folder each folder is a label, of the attribute `label`.

    Raises:
        InputError: it cannot be read, or has no images with labels.
    """
    path = Path(source)
    return _of_folder(path) if path.is_dir() else _of_table(path)


def _of_folder(root: Path) -> LabelledImages:
    pairs = [
        (str(file), folder.name)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for file in media.image_files(folder, deep=True)[0]
    ]
    if not pairs:
        raise InputError(
            f"{root} has no folders with images in them, whose names would be the labels.",
            "Pass such a folder, or a table with the columns image and label.",
        )
    files, labels = zip(*pairs, strict=True)
    return LabelledImages(files, {"label": labels})


def _of_table(path: Path) -> LabelledImages:
    try:
        columns, rows = media.read_table(path)
    except OSError as error:
        raise InputError(
            f"The table {path} cannot be read ({error.strerror}).", "Pass --labels FILE.csv, or a folder."
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is not a CSV file ({error}).", "Save it as CSV in UTF-8.") from error
    of_files = next((name for name in IMAGE_COLUMNS if name in columns), None)
    attributes = [name for name in columns if name != of_files]
    missing = [*(["image"] if of_files is None else []), *([] if attributes else ["label"])]
    if of_files is None or missing:
        raise InputError(
            f"{path} needs the columns image and label; it lacks {' and '.join(missing)}.",
            "Its first line names the columns: image,label",
        )
    whole = [row for row in rows if all(row[name] for name in columns)]
    if not whole:
        raise InputError(f"{path} has no row with an image and a label.", "Its rows are such as a.png,smiling")
    files = tuple(str(path.parent / row[of_files]) for row in whole)
    return LabelledImages(files, {name: tuple(row[name] for row in whole) for name in attributes})

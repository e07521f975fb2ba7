"""`geodesic evaluate --weights`: which trained weights are here, which are missing, and how they are fetched."""

from dataclasses import dataclass
from pathlib import Path

import torch

from geodesic_cli.evaluation.extras import fetch_file
from geodesic_cli.evaluation.ruler.needs import NEEDS, here, lacking, places
from geodesic_cli.evaluation.ruler.protocols import Protocol
from geodesic_cli.filing import digest_of_file


@dataclass(frozen=True)
class WeightsRow:
    """One file of weights.

    Args:
        what: the measure that needs it.
        file: its name.
        bytes: its size; None where it is not here and we do not know.
        licence: of the weights.
        sha256: its digest, or what we expect of it.
        as_expected: whether the digest of the file begins as we expect; None where it is not here.
        sought: folders, in this order.
        found: where it is; None where it is missing.
        lacking: what is missing, and how to get it; empty where nothing is.
    """

    what: str
    file: str
    bytes: int | None
    licence: str
    sha256: str
    as_expected: bool | None
    sought: tuple[str, ...]
    found: str | None
    lacking: str

    @property
    def text(self) -> str:
        """The row for a person."""
        size = f"{self.bytes} bytes" if self.bytes else "size not known"
        state = f"here: {self.found}" if not self.lacking else f"missing: {self.lacking}"
        if self.as_expected is False:
            state = f"not the file that is expected: {self.found}"
        head = f"{self.what}\n  {self.file}, {size}, {self.licence}, sha256 {self.sha256}"
        return f"{head}\n  sought in {', '.join(self.sought)}\n  {state}"


def weights_rows(folder: str | None) -> list[WeightsRow]:
    """A row for each file; `folder` is where files are sought first."""
    rows = []
    for need in NEEDS.values():
        path = here(need, folder)
        digest = digest_of_file(path) if path else None
        rows.append(
            WeightsRow(
                need.what,
                need.file,
                path.stat().st_size if path else need.bytes,
                need.licence,
                digest or need.sha256,
                None if digest is None else digest.startswith(need.sha256),
                tuple(str(place.parent) for place in places(need, folder)),
                None if path is None else str(path),
                lacking(need, folder),
            )
        )
    return rows


def needed_rows(protocol: Protocol, folder: str | None) -> list[WeightsRow]:
    """The rows of the files that the numbers of a protocol need."""
    files = {need.file for need in NEEDS.values() if set(need.numbers) & set(protocol.numbers)}
    return [row for row in weights_rows(folder) if row.file in files]


def fetch_weights(folder: str | None) -> list[str]:
    """Fetch what is missing into torch's cache; a sentence for each file.

    Raises:
        GeodesicError: a file cannot be fetched or written, ends early, or is another one; nothing of it is kept.
    """
    told = []
    for need in NEEDS.values():
        if here(need, folder) is not None:
            told.append(f"{need.file} is here.")
        elif not need.url:
            told.append(f"{need.file} comes with a package: {need.install}.")
        else:
            place = Path(torch.hub.get_dir(), "checkpoints")
            fetch_file(need.what, need.url, place, f"Copy it from a machine that has a network into {place}.")
            told.append(f"{Path(need.file).name} was fetched.")
    return told

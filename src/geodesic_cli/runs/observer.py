"""How a task tells what it is doing. A task never prints: it tells an observer, which may draw a bar or do nothing."""

from typing import Protocol


class Observer(Protocol):
    """What watches a task. Observers only watch: nothing that they do changes a result."""

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
        """A new stage begins; it will take at most ``total`` units."""
        ...

    def advance(self, amount: int, note: str = "") -> None:
        """``amount`` more units of the current stage are done; ``note`` says how it stands."""
        ...

    def warn(self, message: str) -> None:
        """Something that the user should know and that does not stop the run."""
        ...


class Silent:
    """An observer that does nothing."""

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
        """Ignore the stage."""

    def advance(self, amount: int, note: str = "") -> None:
        """Ignore the progress."""

    def warn(self, message: str) -> None:
        """Ignore the warning."""

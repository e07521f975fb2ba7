"""How a task tells what it is doing. A task never prints: it tells an observer, which may draw a bar or do nothing."""

from typing import Protocol


class Observer(Protocol):
    """What watches a task; as written here, it does nothing. Nothing that an observer does changes a result."""

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None:
        """A new stage begins; it will take at most ``total`` units."""
        return

    def advance(self, amount: int, note: str = "") -> None:
        """``amount`` more units of the current stage are done; ``note`` says how it stands."""
        return

    def warn(self, message: str) -> None:
        """Something that the user should know and that does not stop the run."""
        return


class Silent(Observer):
    """An observer that does nothing."""

"""What an import finds out: faults that stop it, and notes on what a spec leaves out."""

from __future__ import annotations

from specbuild.document import Report


class Findings:
    """Collects the faults and notes of one file."""

    def __init__(self, file: str, keras_version: str = "") -> None:
        self.report = Report()
        self.is_keras_2 = keras_version.startswith("2.")
        self._file = file
        self._notes: dict[str, None] = {}

    def refuse(self, layer: str, message: str, *, reason: str = "", help: str = "") -> None:
        """A layer that a spec cannot say."""
        self.report.error(message, path=f"{self._file}  {layer}", reason=reason, help=help, code="import")

    def note(self, text: str) -> None:
        """Something that the spec leaves out without changing what the model computes."""
        self._notes.setdefault(text)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

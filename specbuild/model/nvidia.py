"""NVIDIA's cards as its driver sees them, without any framework."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FIELDS = "name,memory.total,driver_version,compute_cap"
_PCI = Path("/sys/bus/pci/devices")
_VENDOR, _DISPLAY = "0x10de", "0x03"


@dataclass(frozen=True, slots=True)
class Card:
    """A card that the driver can use. `memory` is in bytes."""

    name: str
    memory: int
    driver: str
    capability: tuple[int, int] | None

    @property
    def driver_series(self) -> int:
        """The first number of the driver's version, on which it depends which CUDA runs: 0 where it is not a number."""
        first = self.driver.partition(".")[0]
        return int(first) if first.isdigit() else 0


class DriverError(Exception):
    """`nvidia-smi` is there and fails; the message is what it says."""


def cards() -> tuple[Card, ...]:
    """Return the cards that `nvidia-smi` lists; none without it.

    Raises:
        DriverError: it fails.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriverError(str(error)) from error
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        if "No devices were found" in said:
            return ()
        raise DriverError(said or f"exit code {done.returncode}")
    return tuple(_read(done.stdout))


def _read(table: str) -> Iterator[Card]:
    for line in table.splitlines():
        name, memory, driver, capability = ([cell.strip() for cell in line.split(",")] + [""] * 4)[:4]
        if name:
            mebibytes = int(memory) if memory.isdigit() else 0
            yield Card(name, mebibytes * 2**20, driver, as_capability(capability))


def as_capability(text: str) -> tuple[int, int] | None:
    """Return a compute capability as numbers, `(8, 0)` of `8.0`; None where it is none."""
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def has_card_without_driver(devices: Path = _PCI) -> bool:
    """Return whether Linux lists an NVIDIA card on the bus, whatever driver it has."""
    try:
        return any(
            (device / "vendor").read_text("ascii").strip() == _VENDOR
            and (device / "class").read_text("ascii").startswith(_DISPLAY)
            for device in devices.iterdir()
        )
    except OSError:
        return False

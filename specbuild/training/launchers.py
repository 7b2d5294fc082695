"""Which of several processes this one is: by its options, or by what its launcher has put into the environment.

SLURM's `srun`, the launchers of MPI and Kubernetes number the processes that they start. JAX can detect some of these
by itself, but takes the number of tasks of a whole SLURM allocation for that of the processes that were started, and
asks the Kubernetes server. Here only what belongs to the running step counts, so that a variable left over from an
allocation or a batch script starts nothing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from specbuild.document import ArgumentError

Environment: TypeAlias = Mapping[str, str]

_FIRST_PORT, _PORTS = 61440, 4096
"""The ports among which that of process 0 is chosen where no option names it."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of this process among those that train together."""

    count: int
    """The number of processes."""
    index: int
    """The number of this one, from 0."""
    coordinator: str
    """`HOST:PORT`, where process 0 listens."""
    devices: tuple[int, ...] | None = None
    """Which GPUs of its host this process uses, by number; None: all that it sees."""


@dataclass(frozen=True, slots=True)
class _Launch:
    """What a launcher says."""

    count: int | None = None
    index: int | None = None
    coordinator: str = ""
    """`HOST:PORT` of process 0; empty where it is not known."""
    local: int = 0
    """The number of the process among those of its host."""
    beside: int = 1
    """The number of processes on its host."""


def place(
    environ: Environment, coordinator: str | None = None, processes: int | None = None, process_id: int | None = None
) -> Place | None:
    """Return the place of this process; None where it trains alone.

    What the arguments give goes before what the launcher says.

    Args:
        environ: the environment variables.
        coordinator: `HOST:PORT` of process 0.
        processes: the number of processes; 1: this one trains alone, whatever the launcher says.
        process_id: the number of this one, from 0.

    Raises:
        ArgumentError: something is missing, or does not fit.
    """
    if coordinator is not None and not _ADDRESS.fullmatch(coordinator):
        raise ArgumentError(f"{coordinator} is not an address", help="write --coordinator HOST:PORT, as in node1:8476")
    launch = _launched(environ)
    count = processes if processes is not None else launch.count
    if count is None:
        given = {"--coordinator": coordinator, "--process-id": process_id}
        if names := [name for name, value in given.items() if value is not None]:
            raise ArgumentError(
                f"{' and '.join(names)} without --processes", help="give the number of processes as well"
            )
        return None
    index = process_id if process_id is not None else launch.index
    if count > 1 and index is None:
        raise ArgumentError(
            f"it is not known which of the {count} processes this one is",
            help=f"give each process its own number, from --process-id 0 to --process-id {count - 1}",
        )
    if process_id is not None and not 0 <= process_id < count:
        raise ArgumentError(
            f"--process-id {process_id} is not the number of a process",
            help=f"processes are numbered from 0, so the last of {count} is {count - 1}",
        )
    if count == 1 or index is None:
        return None
    if index >= count:
        raise ArgumentError(
            f"the launcher numbers this process {index}, but --processes is {count}",
            help="give the number of processes that the launcher starts, or give each its --process-id",
        )
    address = coordinator or environ.get("JAX_COORDINATOR_ADDRESS") or launch.coordinator
    if not address:
        raise ArgumentError(
            f"this is process {index} of {count}, and the address of process 0 is not known",
            help="give all of them --coordinator HOST:PORT, with the host of process 0 and a free port there; to train "
            "in each process by itself, give --processes 1",
        )
    return Place(count, index, address, _devices(launch, environ))


_ADDRESS = re.compile(r"([^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


def _launched(environ: Environment) -> _Launch:
    """Return what the launcher says that started this process last: SLURM may have started that of MPI."""
    return next((launch for each in _LAUNCHERS if (launch := each(environ)) is not None), _Launch())


def _open_mpi(environ: Environment) -> _Launch | None:
    count, index = _number(environ, "OMPI_COMM_WORLD_SIZE"), _number(environ, "OMPI_COMM_WORLD_RANK")
    if count is None or index is None:
        return None
    beside = _number(environ, "OMPI_COMM_WORLD_LOCAL_SIZE") or 1
    # Without a batch system, mpirun starts rank 0 where it runs itself, and tells all ranks its address.
    launcher = re.search(r"tcp://([^,:]+)|tcp6://\[([^,\]]+)", environ.get("OMPI_MCA_orte_hnp_uri", ""))
    host = next(filter(None, launcher.groups()), "") if launcher else _first(environ.get("SLURM_JOB_NODELIST", ""))
    if beside == count:
        host = "127.0.0.1"
    job = environ.get("PMIX_NAMESPACE") or environ.get("OMPI_MCA_ess_base_jobid", "")
    return _Launch(count, index, _at(host, job), _number(environ, "OMPI_COMM_WORLD_LOCAL_RANK") or 0, beside)


def _pmi(environ: Environment) -> _Launch | None:
    """MPICH and Intel MPI, and SLURM where it starts programs for them."""
    count, index = _number(environ, "PMI_SIZE"), _number(environ, "PMI_RANK")
    if count is None or index is None:
        return None
    slurm = _slurm(environ)
    if slurm is not None and slurm.count == count:
        return slurm
    coordinator = _at(_first(environ.get("SLURM_JOB_NODELIST", "")), environ.get("SLURM_JOB_ID", ""))
    beside = _number(environ, "MPI_LOCALNRANKS") or 1
    return _Launch(count, index, coordinator, _number(environ, "MPI_LOCALRANKID") or 0, beside)


def _slurm(environ: Environment) -> _Launch | None:
    # SLURM_NTASKS is also set by sbatch and salloc, for all steps together; these two only within a step.
    count, nodes = _number(environ, "SLURM_STEP_NUM_TASKS"), environ.get("SLURM_STEP_NODELIST")
    index = _number(environ, "SLURM_PROCID")
    if count is None or index is None or not nodes:
        return None
    job = f"{environ.get('SLURM_JOB_ID', '')}.{environ.get('SLURM_STEP_ID', '')}"
    per_node = [int(number) for number in re.findall(r"(?<![x\d])\d+", environ.get("SLURM_STEP_TASKS_PER_NODE", ""))]
    return _Launch(
        count, index, _at(_first(nodes), job), _number(environ, "SLURM_LOCALID") or 0, max(per_node, default=1)
    )


def _kubernetes(environ: Environment) -> _Launch | None:
    """The index of a pod of an indexed Job; how many there are, and the address of the first, the options say."""
    index = _number(environ, "JOB_COMPLETION_INDEX")
    return None if index is None else _Launch(index=index)


_LAUNCHERS: tuple[Callable[[Environment], _Launch | None], ...] = (_open_mpi, _pmi, _slurm, _kubernetes)


def _number(environ: Environment, name: str) -> int | None:
    value = environ.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None


def _at(host: str, job: str) -> str:
    """Return the address on a host, whose port follows from the job; empty where either is not known."""
    if not host or not job.strip("."):
        return ""
    return f"{f'[{host}]' if ':' in host else host}:{_FIRST_PORT + zlib.crc32(job.encode()) % _PORTS}"


def _first(nodes: str) -> str:
    """Return the first of SLURM's list of hosts: `node001` of `node[001-004,007],login2`."""
    name = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", name[0]) if name else ""


def _devices(launch: _Launch, environ: Environment) -> tuple[int, ...] | None:
    """Return which GPUs a process uses that shares its host with others: an even part, or one where none are listed."""
    if launch.beside <= 1:
        return None
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return (launch.local,)
    share, rest = divmod(len(listed.split(",")), launch.beside)
    if not share or rest:  # the launcher has given each process its own
        return None
    return tuple(range(launch.local * share, (launch.local + 1) * share))

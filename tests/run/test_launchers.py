"""The place of a process among several: from options, and from the variables of SLURM, MPI and Kubernetes."""

from __future__ import annotations

import pytest

from specbuild.document import ArgumentError
from specbuild.training.launchers import Place, place

STEP = {
    "SLURM_JOB_ID": "81",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "node[007-008]",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}
"""What srun sets for the last of four processes on two hosts."""
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "PMIX_NAMESPACE": "1531576321",
}
"""What mpirun sets for the second of two processes, each on a host of its own."""


def port(found: Place | None) -> int:
    assert found is not None
    return int(found.coordinator.rsplit(":", 1)[1])


def test_srun_numbers_its_processes() -> None:
    found = place(STEP)
    assert found is not None
    assert (found.count, found.index, found.coordinator.split(":")[0]) == (4, 3, "node007")
    assert 61440 <= port(found) <= 65535
    assert port(place(STEP | {"SLURM_PROCID": "0"})) == port(found)  # all find the same
    assert port(place(STEP | {"SLURM_STEP_ID": "1"})) != port(found)  # two steps of a job do not meet


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("login2", "login2"),
        ("node001,host2", "node001"),
        ("node[001-015],host2", "node001"),
        ("node[003,007-015]", "node003"),
        ("rack[2-4]n[01-16],x", "rack2n01"),
        ("a-1,b-2", "a-1"),
    ],
)
def test_first_host_of_a_list(nodes: str, first: str) -> None:
    found = place(STEP | {"SLURM_STEP_NODELIST": nodes})
    assert found is not None
    assert found.coordinator.split(":")[0] == first


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {name: STEP[name] for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")},  # sbatch
        STEP | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},  # salloc; srun with one task
        {"JOB_COMPLETION_INDEX": "3"},  # an indexed Job whose pods have nothing to do with each other
        {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
        {"PMI_SIZE": "1", "PMI_RANK": "0"},
        {"JAX_COORDINATOR_ADDRESS": "node1:1"},
    ],
)
def test_what_is_left_over_starts_nothing(environ: dict[str, str]) -> None:
    assert place(environ) is None


def test_one_process_is_a_plain_run_whatever_started_it() -> None:
    assert place(STEP, processes=1) is None
    assert place({}, coordinator="node1:8476", processes=1, process_id=0) is None


def test_mpi() -> None:
    found = place(OPEN_MPI)
    assert found is not None
    assert (found.count, found.index, found.coordinator.split(":")[0]) == (2, 1, "10.96.0.1")
    assert place(STEP | OPEN_MPI) == found  # mpirun in a job of SLURM has the last word
    here = place(OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2"})
    assert here is not None
    assert here.coordinator.startswith("127.0.0.1:")
    sixth = OPEN_MPI | {"OMPI_MCA_orte_hnp_uri": "1.0;tcp6://[fe80::b9b:ac5d,2620:10d::2]:43370"}
    assert str(place(sixth)).count("[fe80::b9b:ac5d]:") == 1
    pmi = {"PMI_SIZE": "4", "PMI_RANK": "3"}
    assert place(STEP | pmi) == place(STEP)
    assert place(pmi, coordinator="node1:8476") == Place(4, 3, "node1:8476")


def test_kubernetes_knows_the_number_of_a_pod() -> None:
    pod = {"JOB_COMPLETION_INDEX": "1", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    expected = Place(2, 1, "train-worker-0-0.train:8476")
    assert place(pod, coordinator="train-worker-0-0.train:8476", processes=2) == expected
    assert place(pod | {"JAX_COORDINATOR_ADDRESS": "train-worker-0-0.train:8476"}, processes=2) == expected


def test_options_go_before_the_launcher() -> None:
    assert place(STEP, "other:1234", 2, 0) == Place(2, 0, "other:1234", (1,))
    assert place({}, "[::1]:1234", 2, 1) == Place(2, 1, "[::1]:1234")


@pytest.mark.parametrize(
    ("listed", "devices"),
    [(None, (1,)), ("0,1", (1,)), ("0,1,2,3", (2, 3)), ("3", None), ("0,1,2", None)],
)
def test_gpus_of_a_host_are_shared_out(listed: str | None, devices: tuple[int, ...] | None) -> None:
    found = place(STEP | ({} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}))
    assert found is not None
    assert found.devices == devices
    alone = place(STEP | {"SLURM_STEP_TASKS_PER_NODE": "1(x4)", "CUDA_VISIBLE_DEVICES": "0,1"})
    assert alone is not None
    assert alone.devices is None


@pytest.mark.parametrize(
    ("environ", "given", "says"),
    [
        ({}, {"coordinator": "node1:1"}, "--coordinator without --processes"),
        ({}, {"process_id": 1}, "--process-id without --processes"),
        ({}, {"processes": 2, "coordinator": "node1:1"}, "it is not known which of the 2 processes this one is"),
        ({}, {"processes": 2, "process_id": 2}, "--process-id 2 is not the number of a process"),
        ({}, {"processes": 1, "process_id": 1}, "--process-id 1 is not the number of a process"),
        ({}, {"processes": 2, "process_id": 1}, "this is process 1 of 2, and the address of process 0 is not known"),
        ({}, {"processes": 2, "process_id": 0, "coordinator": "node1"}, "node1 is not an address"),
        (STEP, {"processes": 2}, "the launcher numbers this process 3, but --processes is 2"),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, {}, "the address of process 0 is not known"),
    ],
)
def test_what_is_missing_is_named(environ: dict[str, str], given: dict[str, str], says: str) -> None:
    with pytest.raises(ArgumentError, match=says) as error:
        place(environ, **given)  # type: ignore[arg-type]
    assert error.value.help

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from specbuild.document import RunError, SpecError
from specbuild.language import load_spec
from specbuild.runs.files import replacing, write_text
from specbuild.runs.folder import RunFolder
from tests.run.manifests import manifest

NOON = datetime(2026, 1, 31, 12, 0, 5)


def made(out: Path, name: str = "radar") -> RunFolder:
    """A run folder with an empty spec, made at noon."""

    def fill(folder: RunFolder) -> None:
        folder.write_manifest(**manifest(status="finished"))
        write_text(folder.spec_file, "")

    with RunFolder.create(out, name, fill, time=NOON) as folder:
        return folder


def message(error: pytest.ExceptionInfo[SpecError]) -> tuple[str, str]:
    (diagnostic,) = error.value.diagnostics
    return diagnostic.message, diagnostic.help


def test_a_new_folder_is_named_after_the_spec_and_the_time(tmp_path: Path) -> None:
    assert made(tmp_path / "runs").path == tmp_path / "runs/radar-20260131-120005"


def test_a_name_that_no_file_system_takes_is_made_one_that_it_does(tmp_path: Path) -> None:
    assert made(tmp_path, "../Shi 2015: 5×5/").path.name == "Shi-2015-5-5-20260131-120005"
    assert made(tmp_path, "...").path.name == "run-20260131-120005"


def test_an_existing_folder_is_never_used_again(tmp_path: Path) -> None:
    names = [made(tmp_path).path.name for _ in range(3)]
    assert names == ["radar-20260131-120005", "radar-20260131-120005-2", "radar-20260131-120005-3"]


def test_a_place_where_no_folder_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match=r"cannot make a run folder in .*runs: File exists") as error:
        made(tmp_path / "runs")
    assert error.value.help == "choose another place with --out"


def test_a_run_folder_opens(tmp_path: Path) -> None:
    assert RunFolder.open(str(made(tmp_path).path)).manifest() == manifest(status="finished")


def test_a_misspelt_run_folder_gets_the_nearest(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(SpecError) as error:
        RunFolder.open(tmp_path / "rader-20260131-120005")
    assert message(error) == (
        f"there is no run folder {tmp_path}/rader-20260131-120005",
        'did you mean "radar-20260131-120005"?',
    )


def test_a_folder_of_runs_is_no_run(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(SpecError) as error:
        RunFolder.open(tmp_path)
    assert message(error) == (
        f"{tmp_path} is not a run folder: it has no run.json",
        f"the latest run there is {tmp_path}/radar-20260131-120005",
    )


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_text("")
    with pytest.raises(SpecError) as error:
        RunFolder.open(tmp_path / "model.keras")
    assert message(error) == (f"{tmp_path}/model.keras is a file", "give a folder that specbuild train made")


def test_a_damaged_run_json_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path)
    folder.manifest_file.write_text("{")
    with pytest.raises(RunError, match=r"run\.json is damaged: Expecting property name"):
        folder.manifest()
    folder.manifest_file.write_text("[]")
    with pytest.raises(RunError, match=r"run\.json is damaged: it does not hold a mapping"):
        folder.manifest()


def test_checkpoints_come_in_the_order_of_their_epochs(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    names = ("epoch-0010.keras", "epoch-0011-step-000500.keras", "epoch-0009.keras", "epoch-12345.keras")
    for name in (*names, ".epoch-0011.7.keras", "notes.txt"):
        (tmp_path / "checkpoints" / name).write_text("")
    assert list(folder.checkpoints()) == [(9, 0), (10, 0), (10, 500), (12345, 0)]
    assert [path.name for path in folder.checkpoints().values()] == [names[2], names[0], names[1], names[3]]
    assert all(folder.checkpoint(*position) == path for position, path in folder.checkpoints().items())


def test_the_spec_of_a_run_keeps_its_overrides_and_its_folder(spec: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "runs", "tiny")
    loaded = load_spec(spec, overrides=["train.epochs=7"])
    folder.save_spec(loaded)
    folder.update_manifest(name=loaded.name, overrides=list(loaded.overrides), directory=str(spec.parent))
    again = folder.load_spec(["train.batch_size=2"])
    assert (again.train.epochs, again.train.batch_size) == (7, 2)
    assert again.directory == spec.parent
    assert again.overrides == ("train.epochs=7", "train.batch_size=2")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    write_text(path, "old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]

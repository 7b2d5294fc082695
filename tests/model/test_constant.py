"""Constants: numbers of a spec or a file, for each sample; files that are refused; runs, saving and import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import build_graph, build_model
from specbuild.catalog import KINDS
from specbuild.document import Report, SpecError
from specbuild.graph import check
from specbuild.graph.receptive_field import receptive_fields
from specbuild.model.importing import import_model
from specbuild.model.layers import constant as constant_module
from tests.backends import not_on_jax, passes_on_jax
from tests.catalog.refusals import argument_error, shape_error
from tests.model.saving import saved_and_loaded
from tests.run.manifests import manifest

HEAD = "specbuild: 1\ninputs: {x: [4, 6, 1]}\nlayers:\n"
X = np.ones((3, 4, 6, 1), "float32")
MASK = np.random.default_rng(0).random((4, 6, 1)) > 0.5


def spec(constant: str, then: str = "") -> str:
    return f"{HEAD}  - {{id: c, layer: Constant, {constant}}}\n{then}"


@pytest.mark.parametrize(
    ("constant", "expected"),
    [
        ("value: 2.5", [2.5]),
        ("value: [1, 2, 3]", [1, 2, 3]),
        ("value: [[1, 2], [3, 4], [5, 6]]", [[1, 2], [3, 4], [5, 6]]),
        ("value: 0.5, shape: [2, 2]", [[0.5, 0.5], [0.5, 0.5]]),
        ("value: [[1], [2]], shape: [3, 2, 2]", [[[1, 1], [2, 2]]] * 3),
    ],
)
def test_numbers_of_the_spec(constant: str, expected: Any) -> None:
    graph, model = build_graph(spec(constant)), build_model(spec(constant))
    output = model.predict(X, verbose=0)
    np.testing.assert_array_equal(output, [expected] * 3)
    assert graph.outputs[0].shape == np.shape(expected)
    assert graph.parameters == np.size(expected)
    assert graph.trainable_parameters == len(model.trainable_weights) == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "mask.npy", MASK)
    np.savez(tmp_path / "one.npz", mask=MASK)
    np.savez_compressed(tmp_path / "tables.npz", mask=MASK, counts=np.arange(24, dtype="int16").reshape(4, 6, 1))
    return tmp_path


def written(folder: Path, constant: str, then: str = "") -> Path:
    path = folder / "spec.yaml"
    path.write_text(spec(constant, then), "utf-8")
    return path


@pytest.mark.parametrize(
    "constant",
    ["path: mask.npy", "path: one.npz", "path: tables.npz, key: mask", "path: ./mask.npy, shape: [4, 6, 1]"],
)
def test_numbers_of_a_file(folder: Path, constant: str) -> None:
    then = "  - {layer: Multiply, from: [x, c]}\n"
    path = written(folder, constant, then)
    assert build_graph(path).outputs[0].shape == (4, 6, 1)
    np.testing.assert_array_equal(build_model(path).predict(X, verbose=0), X * MASK)


def test_whole_numbers_of_a_file(folder: Path) -> None:
    output = build_model(written(folder, "path: tables.npz, key: counts")).predict(X, verbose=0)
    np.testing.assert_array_equal(output, np.broadcast_to(np.arange(24).reshape(4, 6, 1), (3, 4, 6, 1)))


def test_the_resolved_spec_names_the_file_by_its_absolute_path(folder: Path) -> None:
    resolved = build_graph(written(folder, "path: mask.npy")).spec.resolved()
    assert f"path: {(folder / 'mask.npy').absolute()}" in resolved
    np.testing.assert_array_equal(build_model(resolved, roots=[folder]).predict(X, verbose=0)[0], MASK)


def test_a_file_of_a_model_within_the_model(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "mask.npy").rename(folder / "parts" / "mask.npy")
    (folder / "parts" / "part.yaml").write_text(spec("path: mask.npy"), "utf-8")
    (folder / "spec.yaml").write_text(HEAD + "  - {model: parts/part.yaml}\n", "utf-8")
    np.testing.assert_array_equal(build_model(folder / "spec.yaml").predict(X, verbose=0)[0], MASK)


def test_it_reads_nothing_of_its_input() -> None:
    fields = receptive_fields(build_graph(spec("value: [1]", "  - {id: sum, layer: Add, from: [x, c]}\n")))
    assert fields["c"] == {}
    assert [extent.length for extent in fields["sum"]["x"]] == [1, 1, 1]


def test_it_reads_either_port_of_a_recurrence() -> None:
    text = """\
specbuild: 1
inputs: {x: [4, 6, 6, 1]}
layers:
  - {id: enc, layer: ConvLSTM2D, filters: 2, kernel_size: 3, padding: same}
  - {id: c, layer: Constant, value: 1, shape: [6, 6, 2]}
  - {layer: Add, from: [enc.last, c]}
"""
    assert build_model(text).predict(np.ones((2, 4, 6, 6, 1)), verbose=0).shape == (2, 6, 6, 2)


def test_inside_an_autoregressive_node() -> None:
    text = """\
specbuild: 1
inputs: {x: [4, 6, 6, 1]}
layers:
  - autoregressive:
      horizon: 3
      do:
        - {id: zeros, layer: ZerosLike}
        - {id: mask, time_distributed: {layer: Constant, value: 1, shape: [6, 6, 1]}, from: input}
        - {id: scaled, layer: LocalScale, shared_axes: 1, from: input}
        - {layer: Concatenate, from: [zeros, mask, scaled]}
        - {layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same}
"""
    model = build_model(text)
    assert model.predict(np.ones((2, 4, 6, 6, 1)), verbose=0).shape == (2, 3, 6, 6, 1)
    assert model.count_params() == build_graph(text).parameters


def test_on_every_frame_and_trained(folder: Path) -> None:
    text = f"""\
specbuild: 1
inputs: {{x: [5, 4, 6, 1]}}
layers:
  - {{id: mask, time_distributed: {{layer: Constant, path: {folder / "mask.npy"}}}}}
  - {{id: both, layer: Concatenate, from: [x, mask]}}
  - {{id: memory, layer: ConvLSTM2D, filters: 1, kernel_size: 3, padding: same}}
outputs: [memory.last]
"""
    model = build_model(text, roots=[folder])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 5, 4, 6, 1)), np.ones((2, 4, 6, 1)), verbose=0)
    numbers = next(weight for weight in model.weights if weight.name == "numbers")
    np.testing.assert_array_equal(numbers, MASK)


@pytest.mark.parametrize("limit", [100, 2])
@pytest.mark.parametrize("constant", ["path: mask.npy", "value: [[1, 0.1, 3]], shape: [2, 3]"])
def test_saved_and_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, constant: str, limit: int) -> None:
    monkeypatch.setattr(constant_module, "MOST_IN_CONFIGURATION", limit)
    model = build_model(written(folder, constant))
    expected = model.predict(X, verbose=0)
    (folder / "mask.npy").unlink()
    again = saved_and_loaded(model, folder)
    np.testing.assert_array_equal(again.predict(X, verbose=0), expected)
    if limit == 2:
        with pytest.raises(SpecError, match=r"the numbers of c \(Constant\) are among the weights"):
            import_model(folder / "model.keras")
    else:
        text = import_model(folder / "model.keras").text
        np.testing.assert_array_equal(build_model(text).predict(X, verbose=0), expected)


def test_a_run_keeps_the_file_of_its_spec(folder: Path) -> None:
    from specbuild.language import load_spec
    from specbuild.runs.folder import RunFolder

    spec = load_spec(written(folder, "path: mask.npy"))

    def fill(run: RunFolder) -> None:
        run.write_manifest(**manifest(directory=str(spec.directory.resolve())))
        run.save_spec(spec)

    with RunFolder.create(folder / "runs", "model", fill) as run:
        pass
    (folder / "mask.npy").unlink()
    assert Path(run.load_spec().layers[0].layer.path) == run.path.absolute() / "spec" / "mask.npy"


def refusal(path: Path) -> tuple[str, str, str, int]:
    """The message, reason and help of the only error, and the column that it points at."""
    report = Report()
    assert check(path, report=report) is None
    (error,) = report.errors
    assert error.span is not None
    return error.message, error.reason, error.help, error.span.column


def test_files_that_are_refused(folder: Path) -> None:
    np.save(folder / "words.npy", np.array(["a", "b"]))
    np.save(folder / "objects.npy", np.array([{}, 1], dtype=object))
    np.save(folder / "empty.npy", np.zeros((0, 3)))
    (folder / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (folder / "broken.npz").write_bytes(b"PK")
    np.savez(folder / "none.npz")
    with (folder / "large.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"shape": (10**9,), "fortran_order": False, "descr": "<f4"})

    cases = {
        "path: maks.npy": (
            "there is no file maks.npy",
            "paths are relative to the spec's folder",
            'did you mean "mask.npy"?',
            36,
        ),
        "path: words.npy": ("words.npy has no numbers", "its type is <U1", "", 36),
        "path: objects.npy": ("objects.npy has no numbers", "its type is object", "", 36),
        "path: empty.npy": ("empty.npy has no numbers", "its shape is [0, 3]", "", 36),
        "path: none.npz": ("none.npz has no array", "", "", 36),
        "path: large.npy": (
            "large.npy has 1,000,000,000 numbers",
            "a constant has at most 100,000,000",
            "",
            36,
        ),
        "path: tables.npz": ("tables.npz has 2 arrays", "", "write key: mask, or another of mask, counts", 36),
        "path: tables.npz, key: maks": (
            'tables.npz has no array "maks"',
            "",
            'did you mean "mask"?',
            53,
        ),
        "path: mask.npy, key: mask": ("mask.npy is one array, which has no name", "", "leave key out", 51),
        "path: mask.npy, shape: [6, 6, 1]": (
            "Constant cannot repeat its numbers to 6 × 6 × 1",
            "they are 4 × 6 × 1",
            "counted from the last axis, each length must be the same, or 1",
            53,
        ),
    }
    for constant, expected in cases.items():
        assert refusal(written(folder, constant)) == expected
    for name in ("broken.npy", "broken.npz"):
        message, reason, _, column = refusal(written(folder, f"path: {name}"))
        assert (message, bool(reason), column) == (f"{name} cannot be read as an array", True, 36)


def test_nan_in_a_file_is_refused_when_the_model_is_built(folder: Path) -> None:
    np.save(folder / "map.npy", np.float32([1, np.nan]))
    path = written(folder, "path: map.npy")
    assert build_graph(path).outputs[0].shape == (2,)
    with pytest.raises(SpecError, match=r"map\.npy has NaN or infinity"):
        build_model(path)


def test_arguments_that_do_not_fit() -> None:
    kind = KINDS["Constant"]
    assert argument_error(kind, value=[[1, 2], [3]]) == (
        "value",
        "the lists are of unequal length: item 1 is 2, item 2 is 1",
    )
    assert argument_error(kind, value=[1, [2]]) == (
        "value",
        "the lists are of unequal length: item 1 is one number, item 2 is 1",
    )
    assert argument_error(kind, value=[]) == (
        "value",
        "expected a number, or nested lists of numbers, got an empty list",
    )
    assert argument_error(kind, value=["a"]) == ("value", 'expected a number, or nested lists of numbers, got "a"')
    assert argument_error(kind, path="mask.png") == (
        "path",
        'expected the path of a .npy or .npz file, got "mask.png"',
    )
    for arguments in ({}, {"value": 1, "path": "mask.npy"}):
        with pytest.raises(ValueError, match="Constant needs either value, the numbers, or path, a file that has them"):
            kind(**arguments)
    with pytest.raises(ValueError, match="Constant reads a key from a file, so it needs path"):
        kind(value=1, key="mask")
    assert shape_error(kind(path="mask.npy"), (4,)).message == "Constant has not read mask.npy"


def test_check_loads_numpy_only_for_a_file(folder: Path) -> None:
    code = "import sys; from specbuild import build_graph; build_graph(sys.argv[1]); print('numpy' in sys.modules)"
    for constant, expected in [("value: [1, 2]", "False"), ("path: mask.npy", "True")]:
        path = written(folder, constant)
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


@not_on_jax
def test_on_jax() -> None:
    passes_on_jax(__file__)

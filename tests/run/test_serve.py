"""The serving example answers as its README says, started as its Dockerfile starts it."""

from __future__ import annotations

import ast
import http.client
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs specbuild[onnx]: pip install 'specbuild[onnx]'")
pytest.importorskip("onnxruntime", reason="needs specbuild[onnx]: pip install 'specbuild[onnx]'")

FOLDER = Path(__file__).parents[2] / "examples" / "serve"
MODEL = "nowcast.onnx"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server runs, in a folder that has what the Dockerfile copies, by the command that it names."""
    context, image = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("image")
    write_model(context / MODEL)
    shutil.copy(FOLDER / "server.py", context)
    for source, target in (each.split() for each in instructions("COPY")):
        shutil.copy(context / source, image / target)
    (command,) = map(json.loads, instructions("CMD"))
    with running([sys.executable, "-I", *command[1:], "--port", "0"], image) as printed:
        yield f"127.0.0.1:{printed.rpartition(':')[2].strip()}"


def instructions(name: str) -> list[str]:
    """Return what follows an instruction in the Dockerfile, line by line, for the model of this test."""
    text = re.sub(r"\$\{MODEL\}", MODEL, (FOLDER / "Dockerfile").read_text("utf-8"))
    return re.findall(rf"^{name} (.*)$", text, re.M)


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[str]:
    """Run a command while the block lasts, which gets the first line that it prints."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.communicate()


def write_model(path: Path) -> None:
    """Write a model of two inputs and two outputs, and its manifest: a forecast, and which values are missing."""
    h, t = onnx.helper, onnx.TensorProto
    frames = ["batch", 2, 3]
    graph = h.make_graph(
        [
            h.make_node("Cast", ["slot"], ["first"], to=t.FLOAT),
            h.make_node("Add", ["rain", "first"], ["forecast"]),
            h.make_node("IsNaN", ["rain"], ["missing"]),
        ],
        "two",
        [h.make_tensor_value_info("rain", t.FLOAT, frames), h.make_tensor_value_info("slot", t.INT32, [1])],
        [h.make_tensor_value_info("forecast", t.FLOAT, frames), h.make_tensor_value_info("missing", t.BOOL, frames)],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    inputs = [{"name": "rain", "dtype": "float32"}, {"name": "slot", "dtype": "int32"}]
    path.with_name(f"{path.name}.json").write_text(json.dumps({"graphs": [{"inputs": inputs}]}), "utf-8")


def asked(place: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Return the status and the body of a response."""
    connection = http.client.HTTPConnection(place, timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.read()


def refused(place: str, body: bytes, **headers: str) -> str:
    """Return the reason for which a forecast is refused, with its status."""
    status, answer = asked(place, "POST", "/forecast", body, **headers)
    return f"{status} {json.loads(answer)['error']}"


def npz(**arrays: Any) -> bytes:
    """Return arrays as a file."""
    np.savez(body := io.BytesIO(), **arrays)
    return body.getvalue()


def npy(array: Any) -> bytes:
    """Return an array as a file."""
    np.save(body := io.BytesIO(), array)
    return body.getvalue()


def test_the_server_forecasts(place: str) -> None:
    rain = np.arange(12.0).reshape(2, 2, 3)
    rain[0, 1] = np.nan
    status, answer = asked(place, "POST", "/forecast", npz(rain=rain, slot=[3]))
    outputs = np.load(io.BytesIO(answer))
    assert (status, set(outputs)) == (200, {"forecast", "missing"})
    np.testing.assert_array_equal(outputs["forecast"], rain + 3)
    np.testing.assert_array_equal(outputs["missing"], np.isnan(rain))
    assert outputs["forecast"].dtype == np.float32


def test_the_server_describes_the_model(place: str) -> None:
    assert asked(place, "GET", "/health") == (200, b'{"status": "ok"}')
    status, manifest = asked(place, "GET", "/manifest")
    assert (status, [each["name"] for each in json.loads(manifest)["graphs"][0]["inputs"]]) == (200, ["rain", "slot"])
    assert asked(place, "GET", "/x") == (
        404,
        b'{"error": "there is no /x, only /health, /manifest and POST /forecast"}',
    )
    assert asked(place, "POST", "/health") == (404, b'{"error": "there is no /health to POST to, only /forecast"}')


def test_the_server_says_what_is_wrong_with_a_request(place: str) -> None:
    rain = np.zeros((1, 2, 3))
    assert refused(place, npz(rain=rain)).startswith("400 Required inputs (['slot']) are missing")
    assert refused(place, npy(rain)).startswith("400 Required inputs (['slot']) are missing")
    assert re.match(
        "400 Got invalid dimensions for input: rain .* Got: 4 Expected: 2",
        line(refused(place, npz(rain=np.zeros((1, 4, 3)), slot=[1]))),
    )
    assert refused(place, npz(rain=np.zeros(3), slot=[1])).startswith(
        "400 Invalid rank for input: rain Got: 1 Expected: 3"
    )
    assert refused(place, npz(rain=[["wet"]], slot=[1])).startswith("400 could not convert string to float:")
    assert refused(place, npz(rain=rain, slot=[1], snow=rain)).startswith("400 Invalid input name: snow")
    assert "pickled" in refused(place, b'{"rain": [1]}')
    assert refused(place, b"").startswith("400 No data left in file")
    assert refused(place, b"", Content_Length="-1") == "413 Content-Length is -1, not a number up to 268435456"
    assert refused(place, b"", Content_Length="268435457").startswith("413 Content-Length is 268435457")


def line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())


def test_the_image_is_healthy_and_has_what_the_server_imports(place: str) -> None:
    (check,) = instructions("HEALTHCHECK")
    options, _, command = check.partition(" CMD ")
    assert "--timeout=5s" in options.split()
    (port,) = instructions("EXPOSE")
    code = json.loads(command)[2]
    assert f"127.0.0.1:{port}/" in code
    code = code.replace(f"127.0.0.1:{port}", place)
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
    assert subprocess.run(
        [sys.executable, "-c", code.replace("/health", "/ill")], stderr=subprocess.DEVNULL, check=False, timeout=60
    ).returncode
    (install,) = instructions("RUN")
    words = shlex.split(install)
    assert words[:2] == ["pip", "install"]
    text = (FOLDER / "server.py").read_text("utf-8")
    assert f'"--port", type=int, default={port}' in text
    imported = {
        (each.module or "" if isinstance(each, ast.ImportFrom) else each.names[0].name).partition(".")[0]
        for each in ast.walk(ast.parse(text))
        if isinstance(each, ast.Import | ast.ImportFrom)
    }
    assert imported - set(sys.stdlib_module_names) == {each for each in words[2:] if not each.startswith("-")}
    assert len(text.splitlines()) == 60

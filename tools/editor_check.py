"""What an editor shows for the schema of the language: asks the real yaml-language-server over stdio.

    npm install yaml-language-server            (in a folder outside this one)
    python tools/editor_check.py node_modules/.bin/yaml-language-server

A `|` in a sample is the cursor, where completions are asked for, a `¦` the mouse, for what hovering shows. Not part of
the tests, which need no Node.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from specbuild.language.schema import json_schema

HEAD = "specbuild: 1\ninputs: {rain: [4, 64, 64, 1]}\n"
SAMPLES: dict[str, str] = {
    "a key of the document": HEAD + "layers: []\nt|",
    "a node": HEAD + "layers:\n  - |",
    "the name of a layer": HEAD + "layers:\n  - layer: Conv|",
    "an argument": HEAD + "layers:\n  - layer: ConvLSTM2D\n    |",
    "a choice": HEAD + "layers:\n  - layer: ConvLSTM2D\n    padding: |",
    "an initializer": HEAD + "layers:\n  - layer: ConvLSTM2D\n    kernel_initializer: |",
    "an argument inside time_distributed": HEAD + "layers:\n  - time_distributed:\n      layer: Conv2D\n      |",
    "an optimizer's argument": HEAD + "layers: []\ntrain:\n  optimizer:\n    name: Adam\n    |",
    "what hovering over a variable shows": HEAD
    + "vars: {filters: 8}\nlayers:\n  - {id: a, layer: ConvLSTM2D, filters: $fil¦ters}\n",
    "what hovering over a key shows": HEAD + "layers:\n  - {id: a, layer: ConvLSTM2D, fil¦ters: 8}\n",
    "what hovering over a loss shows": HEAD + "layers: []\ntrain: {loss: hu¦ber}\n",
    "a loss": HEAD + "layers: []\ntrain:\n  loss: |",
    "nothing wrong": HEAD
    + "vars: {f: 8}\nlayers:\n  - {id: a, layer: ConvLSTM2D, filters: $f * 2, kernel_size: [3, $f]}\n",
    "a misspelled argument": HEAD + "layers:\n  - {layer: Conv2D, filters: 8, stride: 2}\n",
    "a wrong type": HEAD + "layers:\n  - {layer: Conv2D, filters: many}\n",
    "a wrong choice": HEAD + "layers:\n  - {layer: Conv2D, filters: 8, padding: smae}\n",
    "an unknown layer": HEAD + "layers:\n  - {layer: Conv9D, filters: 8}\n",
    "a node without a form": HEAD + "layers:\n  - {id: a}\n",
    "two forms at once": HEAD + "layers:\n  - {layer: Conv2D, repeat: 3}\n",
    "from inside time_distributed": HEAD + "layers:\n  - time_distributed: {layer: Conv2D, filters: 8, from: rain}\n",
    "a misspelled section key": HEAD + "layers: []\ntrain: {epoch: 3}\n",
    "an optimizer's misspelled argument": HEAD + "layers: []\ntrain: {optimizer: {name: Adam, lerning_rate: 1}}\n",
}


class Server:
    """A language server behind stdin and stdout."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._settings = {
            "schemas": {(folder / "schema.json").as_uri(): "*.yaml"},
            "validate": True,
            "completion": True,
        }
        self.request("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}})
        self.notify("initialized", {})
        self.notify("workspace/didChangeConfiguration", {"settings": {"yaml": self._settings}})

    def open(self, name: str, text: str) -> tuple[str, list[dict[str, Any]]]:
        """Opens a document, and gives its address and what is wrong with it."""
        uri = (self._folder / name).as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        while True:
            message = self._read()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                return uri, message["params"]["diagnostics"]

    def request(self, method: str, params: dict[str, Any]) -> Any:
        self._count += 1
        self._write({"id": self._count, "method": method, "params": params})
        wanted = self._count
        while True:
            message = self._read()
            if message.get("id") == wanted and "method" not in message:
                return message.get("result")

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self._write({"method": method, "params": params})

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        """The next message; what the server asks of an editor is answered on the way."""
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        if "id" in message and "method" in message:
            asked = message["params"].get("items", []) if message["method"] == "workspace/configuration" else None
            answer = [self._settings if one.get("section") == "yaml" else {} for one in asked] if asked else None
            self._write({"id": message["id"], "result": answer})
        return message


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit((__doc__ or "").strip())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "schema.json").write_text(json.dumps(json_schema()), "utf-8")
        server = Server([*sys.argv[1:], "--stdio"], folder)
        for number, (title, sample) in enumerate(SAMPLES.items()):
            before, cursor, after = sample.partition("¦" if "¦" in sample else "|")
            uri, wrong = server.open(f"{number}.yaml", before + after)
            print(f"{title}:")
            place = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
            if cursor == "¦":
                found = server.request("textDocument/hover", {"textDocument": {"uri": uri}, "position": place})
                print("   ", " ".join(found["contents"]["value"].split()) if found else "nothing")
            elif cursor:
                found = server.request("textDocument/completion", {"textDocument": {"uri": uri}, "position": place})
                items = sorted(found["items"], key=lambda item: item.get("sortText") or item["label"])
                print("   ", ", ".join(item["label"] for item in items) or "no completions")
            else:
                print("\n".join(f"    {one['message']}" for one in wrong) or "    no diagnostics")
        server.close()


if __name__ == "__main__":
    main()

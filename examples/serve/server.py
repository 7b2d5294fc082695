"""Serves an exported ONNX model over HTTP, without specbuild, TensorFlow or Keras.

python examples/serve/server.py nowcast-physical.onnx --port 8000

GET  /health     the name of the model, once it is loaded
GET  /manifest   the inputs and outputs: names, units, axes
POST /forecast   one input of the model as .npy, or all inputs by name as .npz or JSON (null where missing);
                 the response is the first output as .npy, or all outputs by name as .npz or JSON, as in the request
"""

import argparse
import io
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime

LARGEST = 256 * 2**20  # bytes of a request


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answers = {
            "/health": {"status": "ok", "model": self.server.manifest["name"]},
            "/manifest": self.server.manifest,
        }
        found = answers.get(self.path)
        if found is None:
            return self.refuse(404, f"there is no {self.path}; there are {', '.join(answers)} and POST /forecast")
        return self.answer(200, json.dumps(found).encode())

    def do_POST(self):
        size, kind = int(self.headers.get("Content-Length", 0)), self.headers.get("Content-Type", "")
        if self.path != "/forecast":
            return self.refuse(404, "POST goes to /forecast")
        if not 0 <= size <= LARGEST:
            return self.refuse(413, f"the request has {size} bytes, not from 0 to {LARGEST}")
        ports = self.server.graph["inputs"]
        try:
            given = read(self.rfile.read(size), kind, ports)
            if missing := [port["name"] for port in ports if port["name"] not in given]:
                return self.refuse(400, f"the request has no {', '.join(missing)}; it has {', '.join(given)}")
            arrays = {port["name"]: np.asarray(given[port["name"]], port["dtype"]) for port in ports}
            outputs = self.server.session.run(self.server.names, arrays)
        except Exception as error:  # whatever is wrong with the request
            return self.refuse(400, str(error))
        return self.answer(200, write(dict(zip(self.server.names, outputs, strict=True)), kind), kind)

    def refuse(self, code, error):
        self.answer(code, json.dumps({"error": error}).encode())

    def answer(self, code, body, kind="application/json"):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def read(body, kind, ports):
    """Return the inputs by name."""
    if kind == "application/json":
        return {name: np.array(values, np.float64) for name, values in json.loads(body).items()}
    loaded = np.load(io.BytesIO(body), allow_pickle=False)
    return {ports[0]["name"]: loaded} if isinstance(loaded, np.ndarray) else loaded


def write(outputs, kind):
    """Return the outputs in the format of the request."""
    buffer = io.BytesIO()
    if kind == "application/json":
        return json.dumps({name: np.where(np.isnan(x), None, x).tolist() for name, x in outputs.items()}).encode()
    np.savez(buffer, **outputs) if kind == "application/zip" else np.save(buffer, next(iter(outputs.values())))
    return buffer.getvalue()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    server.manifest = json.loads(Path(f"{options.model}.json").read_text("utf-8"))
    (server.graph,) = server.manifest["graphs"]
    server.names = [port["name"] for port in server.graph["outputs"]]
    server.session = onnxruntime.InferenceSession(str(options.model))
    print(f"serving {options.model} at http://{options.host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

"""Serves an exported ONNX model over HTTP, without specbuild, TensorFlow or Keras: python server.py nowcast.onnx

GET  /health     answers once the model is loaded
GET  /manifest   the names, units and axes of the inputs and outputs
POST /forecast   takes .npz with each input by name, or the only input as .npy, NaN where missing; returns .npz
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
    timeout = 60  # seconds to wait for the rest of a request

    def do_GET(self):
        pages = {"/health": {"status": "ok"}, "/manifest": manifest}
        unknown = {"error": f"there is no {self.path}, only {', '.join(pages)} and POST /forecast"}
        self.answer(200 if self.path in pages else 404, pages.get(self.path, unknown))

    def do_POST(self):
        if self.path != "/forecast":
            return self.answer(404, {"error": f"there is no {self.path} to POST to, only /forecast"})
        if not (size := self.headers.get("Content-Length", "missing")).isdecimal() or int(size) > LARGEST:
            return self.answer(413, {"error": f"Content-Length is {size}, not a number up to {LARGEST}"})
        try:
            sent = np.load(io.BytesIO(self.rfile.read(int(size))), allow_pickle=False)
            given = {next(iter(dtypes)): sent} if isinstance(sent, np.ndarray) else dict(sent)
            outputs = session.run(None, {name: values.astype(dtypes.get(name)) for name, values in given.items()})
        except Exception as error:  # NumPy or ONNX Runtime says what is wrong with the request
            return self.answer(400, {"error": str(error).rpartition(" : ")[2]})
        np.savez(body := io.BytesIO(), **{port.name: x for port, x in zip(session.get_outputs(), outputs, strict=True)})
        return self.answer(200, body.getvalue())

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "application/zip" if isinstance(body, bytes) else "application/json")
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    manifest = json.loads(Path(f"{options.model}.json").read_text("utf-8"))
    dtypes = {port["name"]: port["dtype"] for port in manifest["graphs"][0]["inputs"]}
    session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    print(f"serving {options.model} at http://{options.host}:{server.server_port}", flush=True)
    server.serve_forever()

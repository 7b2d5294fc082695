"""Forecast from frames as they arrive; needs only ONNX Runtime, NumPy and, if the model reads motion, OpenCV.

specbuild export RUN --format onnx --shape streaming --output rain.onnx
python frame_by_frame.py rain.onnx.json frames.npy
"""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import onnxruntime

manifest = Path(sys.argv[1])
graphs = {graph["name"]: graph for graph in json.loads(manifest.read_text("utf-8"))["graphs"]}
sessions = {name: onnxruntime.InferenceSession(manifest.with_name(graphs[name]["file"])) for name in graphs}
inputs = [each for graph in graphs.values() for each in graph["inputs"]]
state = {each["name"]: np.zeros([1, *each["shape"][1:]], each["dtype"]) for each in inputs if each["role"] == "state"}
frames = []


def read(each, state, number):
    """Return an input of call `number`: a state, the newest frame, or what is computed from the latest frames."""
    if "computed" not in each:
        return state.get(each["name"], frames[-1][np.newaxis])
    how = each["computed"]
    function = runpy.run_path(str(manifest.with_name(how["file"])))[how["function"]]
    values = function(np.stack(frames[-how["frames"] :]), **how["arguments"])[np.newaxis]
    return values[:, number] if values.ndim > len(each["shape"]) else values


def call(name, state, number=0):
    """Run a graph, update `state` in place, and return the first output."""
    given = [each["name"] for each in graphs[name]["outputs"]]
    outputs = sessions[name].run(given, {each["name"]: read(each, state, number) for each in graphs[name]["inputs"]})
    state.update({each.removesuffix("_next"): value for each, value in zip(given, outputs, strict=True)})
    return outputs[0]


observed = np.load(sys.argv[2]).astype(np.float32)  # (time, height, width, channels), NaN where missing
for number, frame in enumerate(observed, start=1):
    frames.append(frame)
    if number == 1 and "start" in graphs:
        call("start", state)
    forecast = call("observe", state)[0]
    if "forecast" in graphs:
        ahead = dict(state)  # forecast from a copy; the next frame continues from the states themselves
        forecast = [call("forecast", ahead, each)[0] for each in range(graphs["forecast"]["calls"])]
    print(f"after frame {number}: up to {np.nanmax(forecast):.1f} in the next {len(forecast)} frames")
np.save("forecast.npy", forecast)

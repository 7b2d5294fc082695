"""Forecast with a model that reads the motion of the latest frames; needs only ONNX Runtime, NumPy and OpenCV.

specbuild export RUN --format onnx --output rain.onnx
python forecast.py rain.onnx.json frames.npy
"""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import onnxruntime

manifest = Path(sys.argv[1])
(graph,) = json.loads(manifest.read_text("utf-8"))["graphs"]
frames = np.load(sys.argv[2])  # the latest frames (time, height, width, channels), NaN where missing
if others := [each["name"] for each in graph["inputs"] if each["role"] not in ("frame", "motion")]:
    sys.exit(f"this example gives frames and motion alone; the model also reads {', '.join(others)}")
steps = [each.get("computed", each)["steps"] for each in graph["inputs"]]
if len({each[-2] for each in steps if len(each) > 1}) > 1:
    sys.exit("the time between frames differs among the inputs: select the frames of each by its steps in the manifest")
inputs = {}
for each in graph["inputs"]:
    if "computed" in each:
        computed = each["computed"]
        function = runpy.run_path(str(manifest.with_name(computed["file"])))[computed["function"]]
        values = function(frames[-computed["frames"] :], **computed["arguments"])
    else:
        values = frames[-len(each["steps"]) :]
    inputs[each["name"]] = values[np.newaxis].astype(each["dtype"])
session = onnxruntime.InferenceSession(manifest.with_name(graph["file"]))
forecast = session.run(None, inputs)[0][0]
print(f"up to {np.nanmax(forecast):.1f} {graph['outputs'][0].get('units', '')} in the next {len(forecast)} frames")
np.save("forecast.npy", forecast)

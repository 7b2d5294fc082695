#!/usr/bin/env bash
# The benchmark of one GPU: everything within 9 minutes, results in FOLDER (results.json, table.md, log.txt).
#
#     benchmarks/gpu.sh FOLDER [--minutes 9] [--only NAME …] [--scale tiny] [--list]
#
# Needs Python with JAX for the GPU, Keras and what `import specbuild` needs; PyTorch for the rows of PyTorch. TensorFlow
# is not needed. PYTHON names another Python than python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="${here%/*}${PYTHONPATH:+:$PYTHONPATH}"
export KERAS_BACKEND=jax PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=3
exec "${PYTHON:-python3}" "$here/gpu.py" "$@"

"""The sections `data`, `train` and `evaluate` of a spec, and their parts."""

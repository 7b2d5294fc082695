"""Stage 3: located nodes become a typed spec, with variables, defaults and overrides resolved."""

from specbuild.spec.data_section import DataSection
from specbuild.spec.declarations import KEYS, VERSION
from specbuild.spec.evaluate_section import EvaluateSection
from specbuild.spec.load import load_spec, read_spec
from specbuild.spec.model import BodySpec, InputSection, InputSpec, NodeSpec, OutputSpec, Spec
from specbuild.spec.overrides import normalize
from specbuild.spec.references import Reference
from specbuild.spec.train_section import TrainSection

__all__ = [
    "KEYS",
    "VERSION",
    "BodySpec",
    "DataSection",
    "EvaluateSection",
    "InputSection",
    "InputSpec",
    "NodeSpec",
    "OutputSpec",
    "Reference",
    "Spec",
    "TrainSection",
    "load_spec",
    "normalize",
    "read_spec",
]

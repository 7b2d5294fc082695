"""Stage 3: read located nodes as a typed spec, with variables, defaults and overrides resolved."""

from specbuild.language.declarations import KEYS, VERSION
from specbuild.language.load import load_spec, read_spec
from specbuild.language.overrides import normalize
from specbuild.language.references import Reference
from specbuild.language.sections.inputs import InputSection
from specbuild.language.spec import BodySpec, CarriedState, InputSpec, NodeSpec, OutputSpec, Spec

__all__ = [
    "KEYS",
    "VERSION",
    "BodySpec",
    "CarriedState",
    "InputSection",
    "InputSpec",
    "NodeSpec",
    "OutputSpec",
    "Reference",
    "Spec",
    "load_spec",
    "normalize",
    "read_spec",
]

"""Stage 1: parse YAML text into nodes that know their file, line and column."""

from specbuild.document.diagnostics import Diagnostic, Report, dotted
from specbuild.document.errors import ArgumentError, RunError, SpecbuildError, SpecError, TooManyErrors
from specbuild.document.nodes import (
    Entry,
    FilledIds,
    Mapping,
    Node,
    PathPart,
    Scalar,
    Sequence,
    Source,
    Span,
    Value,
    id_of,
    kind_of,
    locate,
    path_of,
    plain,
    shown,
    values_in,
)
from specbuild.document.parse import parse, read
from specbuild.document.suggest import did_you_mean, listed, nearest

__all__ = [
    "ArgumentError",
    "Diagnostic",
    "Entry",
    "FilledIds",
    "Mapping",
    "Node",
    "PathPart",
    "Report",
    "RunError",
    "Scalar",
    "Sequence",
    "Source",
    "Span",
    "SpecError",
    "SpecbuildError",
    "TooManyErrors",
    "Value",
    "did_you_mean",
    "dotted",
    "id_of",
    "kind_of",
    "listed",
    "locate",
    "nearest",
    "parse",
    "path_of",
    "plain",
    "read",
    "shown",
    "values_in",
]

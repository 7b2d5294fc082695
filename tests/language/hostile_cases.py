"""Hostile specs, files and overrides, each with how the message of its first error begins."""

from __future__ import annotations

HEAD = "specbuild: 1\ninputs: {x: [4, 8, 8, 3]}\n"
LAYERS = HEAD + "layers:\n"
CONV = "{layer: Conv3D, filters: 2, kernel_size: 1}"


def nodes(*items: str) -> str:
    """A spec with these nodes."""
    return LAYERS + "".join(f"  - {item}\n" for item in items)


def many(count: int, line: str) -> str:
    """The line so many times, its number in place of @."""
    return "".join(line.replace("@", str(number)) for number in range(count))


def variables(lines: str) -> str:
    return "vars:\n" + lines + nodes(CONV)


def chained(first: str, next: str, count: int) -> str:
    """Variables each of which is made of the one before, # in `next`."""
    lines = [f"  a0: {first}\n", *(f"  a{n + 1}: {next.replace('#', f'$a{n}')}\n" for n in range(count))]
    return variables("".join(lines))


def blocks(count: int, calls: int) -> str:
    """Blocks each of which uses the next so many times."""
    lines = [f"  b{n}: {{do: [{', '.join([f'{{block: b{n + 1}}}'] * calls)}]}}\n" for n in range(count)]
    return f"{HEAD}blocks:\n{''.join(lines)}  b{count}: {{do: [{CONV}]}}\nlayers: [{{block: b0}}]\n"


def loops(rounds: int, depth: int, inside: str = CONV) -> str:
    """Loops inside each other."""
    for _ in range(depth):
        inside = f"{{repeat: {rounds}, do: [{inside}]}}"
    return inside


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def reuses(count: int) -> str:
    """Each group holds the one before twice."""
    rounds = [f"{{id: r{n + 1}, repeat: 1, do: [{{reuse: r{n}}}, {{reuse: r{n}}}]}}" for n in range(count)]
    return nodes("{id: r0, repeat: 2, do: [{layer: ReLU}]}", *rounds)


DATA = "data: {source: {path: a, layout: T H W}, windows: {past: 1, future: 1}, "

DOCUMENTS = {
    "alias bomb": (bomb(10), "the document has more than 150,000 values"),
    "ten megabytes": ("x" * 10_000_000, "hostile.yaml is larger than 4 MB"),
    "four megabytes of nodes": (LAYERS + "  - {layer: ReLU}\n" * 200_000, "the document has more than 150,000 values"),
    "ten thousand lists": ("[" * 10_000, "nested deeper than 64 levels"),
    "ten thousand mappings": ("{a: " * 10_000 + "}" * 10_000, "nested deeper than 64 levels"),
    "a tag that would run": (
        "name: !!python/object/apply:os.system ['touch ran']\n",
        "the tag !!python/object/apply:os.system is not supported",
    ),
    "a tag that would import": ("!!python/module:antigravity x\n", "the tag !!python/module:antigravity is not"),
    "a NUL": ("name: a\0b\n", "the invisible character U+0000 is not allowed"),
    "half a surrogate pair": ('name: "\\ud800"\n', "half a surrogate pair is not a character"),
    "the same key": ("a: 1\n" * 100_000, 'the key "a" is given twice'),
    "unknown keys": (many(70_000, "k@: 1\n"), 'unknown key "k0"'),
    "a long line": (nodes("{layer: %s}" % ("A" * 3_000_000)), 'no layer is called "AAAA'),
    "a long id": (nodes("{id: %s, layer: ReLU}" % ("a" * 1_000_000)), '"aaaa'),
    "a long reference": (nodes("{layer: ReLU, from: %s}" % ("a" * 1_000_000)), "no node is called aaaa"),
    "right to left": (nodes('{layer: "Conv3D\u202e"}'), 'no layer is called "Conv3D\\u202e"'),
    "a letter without width": (nodes('{id: "a\u200bb", layer: ReLU}'), '"a\\u200bb" cannot be an id'),
    "digits of another script": (nodes("{layer: Dense, units: \u0661\u0662}"), "units: expected a positive whole"),
    "an escape of the terminal": ('"\\e[2J": 1\n', 'unknown key "\\x1b[2J"'),
}
NUMBERS = {
    "400 digits": (nodes("{layer: Dense, units: 1%s}" % ("0" * 400)), "a whole number of 401 characters is too long"),
    "a float without end": (nodes("{layer: Dense, units: 1e400}"), "the number 1e400 is too large"),
    "2^63 units": (nodes(f"{{layer: Dense, units: {2**63}}}"), "units: expected a positive whole number, got 92233"),
    "no float": (nodes("{layer: Dropout, rate: 1%s}" % ("0" * 199)), "rate: expected a fraction from 0 to below 1"),
    "10^36 pixels": (
        "specbuild: 1\ninputs: {x: [1000000000, 1000000000, 1000000000, 1000000000]}\nlayers: [{layer: ReLU}]\n",
        "the input x is too large",
    ),
    "ten thousand axes": (
        "specbuild: 1\ninputs: {x: [%s]}\nlayers: [{layer: ReLU}]\n" % ("2, " * 10_000),
        "the input x is too large",
    ),
    "an axis of 10^9": (
        "specbuild: 1\ninputs: {x: [1000000000]}\nlayers: [{layer: ReLU}, {layer: Dense, units: 5000}]\n",
        "the kernel of dense would be 1000000000 × 5000",
    ),
    "a growing output": (nodes(*["{layer: UpSampling3D, size: 100000}"] * 9), "UpSampling3D would give 400000 ×"),
    "a kernel of exabytes": (
        nodes("{layer: Flatten}", *["{layer: Dense, units: 2147483647}"] * 2),
        "the kernel of dense",
    ),
}
VARIABLES = {
    "squares": (chained("3", "# * #", 60), 'cannot compute "$a5 * $a5": the result is too large'),
    "a tower of powers": (variables("  b: 9\n  a: $b**$b**$b**$b\n"), "cannot compute"),
    "texts that double": (chained("x", "'# and #'", 60), "cannot compute"),
    "lists that double": (chained("[1, 2]", "[#, #]", 60), "the spec unrolls into more than 250,000 values"),
    "lists that nest": (chained("[1, 2]", "[#]", 2_000), "cannot compute"),
    "deep parentheses": (variables("  b: 1\n  a: " + "(" * 400 + "$b" + ")" * 400 + "\n"), "cannot compute"),
    "a long sum": (variables("  b: 1\n  a: ${b" + "+1" * 100_000 + "}\n"), "cannot compute"),
    "unknown variables": (variables(many(20_000, "  k@: $z@ + 1\n")), "no variable is called $z0"),
    "a circle": (variables("  a: $b\n  b: $c\n  c: $a\n"), "variables go round in a circle"),
}
LOOPS = {
    "10^9 rounds": (nodes(loops(10**9, 1)), "repeat: expected a whole number from 0 to 10,000, got 1000000000"),
    "loops in loops": (nodes(loops(1_000, 5)), "the layers unroll into more than 10,000 nodes"),
    "loops of nothing": (nodes(loops(1_000, 5, "")), "the layers unroll into more than 10,000 nodes"),
    "a long list to go through": (
        nodes(f"{{for: {{f: [{many(100_000, '1, ')}]}}, do: [{CONV}]}}"),
        "the layers unroll into more than 10,000 nodes",
    ),
    "a huge node in a loop": (
        nodes("{repeat: 9999, do: [{layer: Gather, axis: 1, indices: [%s]}]}" % ("0, " * 50_000)),
        "the spec unrolls into more than 250,000 values",
    ),
    "a faulty node in a loop": (nodes("{repeat: 4999, as: i, do: [{layer: Conv$i}]}"), 'no layer is called "Conv1"'),
    "blocks that double": (blocks(30, 2), "the layers unroll into more than 10,000 nodes"),
    "blocks in blocks": (blocks(1_000, 1), "nodes are nested deeper than 64 levels"),
    "reuse that doubles": (reuses(30), "the layers unroll into more than 10,000 nodes"),
}
FAULTS = {
    "unknown layers": (nodes(*(f"{{layer: Conv{n}D}}" for n in range(15_000))), 'no layer is called "Conv0D"'),
    "unknown arguments": (nodes("{" + many(30_000, "k@: 1, ") + "layer: ReLU}"), 'ReLU has no argument "k0"'),
    "unknown references": (
        nodes(*(f"{{id: a{n}, layer: ReLU, from: b{n}}}" for n in range(15_000))),
        "no node is called b0",
    ),
    "unknown metrics": (
        nodes("{layer: ReLU}") + "train: {metrics: [%s]}\n" % ("maee, " * 50_000),
        "metrics: expected at most 100",
    ),
    "unknown transforms": (
        nodes("{layer: ReLU}") + DATA + "transform: [%s]}\n" % ("logp, " * 50_000),
        "transform: expected at most 100",
    ),
    "changes without end": (
        HEAD + "set:\n" + many(30_000, "  train.k@: 1\n") + "layers: [{layer: ReLU}]\n",
        "the spec unrolls into more than 250,000 values",
    ),
    "a change far down": (
        HEAD + "set: {? train%s : 1}\nlayers: [{layer: ReLU}]\n" % (".a" * 50_000),
        "the path is nested deeper than 64 levels",
    ),
}
PARTS = {
    "a parameter whose type is a mapping": (
        HEAD + "blocks: {b: {parameters: {f: {type: {a: 1}}}, do: [{layer: ReLU}]}}\nlayers: [{block: b}]\n",
        "f: expected {type: …, default: …}",
    ),
    "a message of several lines": (nodes('{layer: ReLU, from: "a\\nb\\n\\nc"}'), '"a b c" names no node'),
    "two hundred thousand brackets": ("a: " + "[" * 200_000, "nested deeper than 64 levels"),
    "two hundred thousand list items": ("- " * 200_000, "nested deeper than 64 levels"),
    "a base that is a folder": ("extends: folder\n", "folder is a folder, not a file"),
    "a base that is a pipe": ("extends: pipe\n", "pipe is not a regular file"),
    "a base without end": ("extends: /dev/zero\n", "/dev/zero is not a spec"),
    "a base that is not for everybody": ("extends: /etc/passwd\n", "/etc/passwd is not a spec"),
    "a base that holds a secret": ("extends: secret.yaml\n", "secret.yaml is not a spec"),
    "a base that holds a secret and a mistake": ("extends: broken.yaml\n", "broken.yaml is not a spec"),
    "a part that holds a secret": (nodes("{model: /proc/self/environ}"), "/proc/self/environ is not a spec"),
    "numbers from another folder": (nodes("{layer: Constant, path: ../large.npy}"), "../large.npy lies outside"),
    "numbers from behind a link": (nodes("{layer: Constant, path: away.npy}"), "away.npy lies outside"),
    "numbers from a user's folder": (nodes("{layer: Constant, path: ~nobody-here/a.npy}"), "there is no file ~nobody"),
    "numbers from a pipe": (nodes("{layer: Constant, path: pipe.npy}"), "pipe.npy is not a regular file"),
    "a header that lies": (nodes("{layer: Constant, path: header.npy}"), "header.npy cannot be read as an array"),
    "weights from another folder": (
        nodes("{application: MobileNetV2, weights: /tmp/w.weights.h5}"),
        "/tmp/w.weights.h5 lies outside",
    ),
    "weights from a network": (
        nodes("{application: MobileNetV2, weights: 'https://localhost/w.h5'}"),
        "there is no file https://localhost/w.h5",
    ),
    "words from a network": (
        nodes("{layer: IntegerLookup, vocabulary: 'gs://bucket/words'}"),
        'vocabulary: expected a list, got "gs://bucket/words"',
    ),
    "words from a file": (
        nodes("{time_distributed: {layer: IntegerLookup, vocabulary: /etc/passwd}}"),
        'vocabulary: expected a list, got "/etc/passwd"',
    ),
    "weights of words from a file": (
        nodes("{layer: IntegerLookup, output_mode: tf_idf, idf_weights: /etc/passwd}"),
        'idf_weights: expected a list, got "/etc/passwd"',
    ),
    "a base of links in a circle": ("extends: circle\n", "'circle' cannot be read"),
    "a base with a NUL": ('extends: "a\\0b"\n', "'a\\x00b' cannot be read"),
    "a base that is itself": ("extends: hostile.yaml\n", "hostile.yaml extends itself"),
    "a part that is itself": (nodes("{model: hostile.yaml}"), "hostile.yaml contains itself"),
    "a part that is a pipe": (nodes("{model: pipe}"), "pipe is not a regular file"),
    "a part again and again": (
        nodes("{repeat: 9999, do: [{model: ../large.yaml}]}"),
        "the layers unroll into more than 10,000 nodes",
    ),
}
LARGE = nodes(*[CONV] * 4_000)
"""`large.yaml`, which a case reads as a part."""

SPECS: dict[str, tuple[str, str]] = {**DOCUMENTS, **NUMBERS, **VARIABLES, **LOOPS, **FAULTS, **PARTS}
"""The text of each spec, and how its first message begins."""

FILES: dict[str, str] = {
    "pipe": "pipe is not a regular file",
    "/dev/zero": "/dev/zero is not a regular file",
    "circle": "'circle' cannot be read",
    "folder": "folder is a folder, not a file",
    "no\udcffname.yaml": "there is no file no\\udcffname.yaml",
}
"""What is given in the place of a spec, in a folder that has these."""

RIGHT = "vars: {a: 1}\n" + nodes(CONV)
OVERRIDES: dict[str, str] = {
    "": '"" is not an override',
    "=": '"=" is not an override',
    "vars": '"vars" is not an override',
    "vars.a=!!python/object/apply:os.system ['touch ran']": "the tag !!python/object/apply:os.system is not supported",
    "train.epochs=" + "[" * 1_000: "nested deeper than 64 levels",
    "train.epochs=" + "9" * 500: "a whole number of 500 characters is too long",
    "train.epochs=.inf": "epochs: expected a positive whole number, got .inf",
    "train" + ".a" * 5_000 + "=1": "the path is nested deeper than 64 levels",
    "layers.\u202e=1": "no layer has the id \\u202e",
    "vars.a=\udcff": "the invisible character U+DCFF is not allowed",
    "extends=base.yaml": 'unknown key "extends"',
    "name=${" + "(" * 2_000 + "}": "cannot compute",
}
"""What is given to `--set`, for the right spec."""

"""Places for boxes and edges: a layered layout, top to bottom (Sugiyama, Tagawa & Toda 1981).

Every box is below all that it reads. An edge over several layers passes through a place of its own in each layer
between, so that it never crosses a box. The order within a layer is that with the fewest crossings found by sweeping
with barycenters; the places are then pulled toward their neighbors as far as the gaps between them allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

GAP_X, GAP_Y, MARGIN = 28.0, 34.0, 18.0
"""Least distance between boxes side by side, between layers, and to the border, in points."""
LANE = 14.0
"""Width of the place in which an edge passes a layer."""
_SWEEPS = 12
_PULL = (1.0, 2.0, 8.0)
"""How strongly two boxes, a box and a lane, and two lanes of an edge pull each other (Gansner et al. 1993)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Centers of the boxes, and for each edge the points that it runs through, in points from the top left.

    A route begins at the lower side of its source and ends at the upper side of its target; between two layers it may
    bend, beside the boxes of a layer it runs straight down.
    """

    width: float
    height: float
    centres: dict[int, tuple[float, float]]
    routes: list[list[tuple[float, float]]]


def layout(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """Place boxes of the given widths and heights, joined by edges that lead from earlier boxes to later ones."""
    layers = _layers(len(sizes), edges)
    grid = _Grid(sizes, edges, layers)
    grid.order()
    x = grid.places()
    left = min(x[place] - width / 2 for place, width in grid.widths.items()) - MARGIN
    right = max(x[place] + width / 2 for place, width in grid.widths.items()) + MARGIN
    tops, bottoms = _rows(sizes, layers)
    centres = {box: (x[box] - left, (tops[layers[box]] + bottoms[layers[box]]) / 2) for box in range(len(sizes))}
    ends = _ends(grid, x, sizes)
    routes = []
    for index, (source, target) in enumerate(edges):
        start, end = ends[index]
        route = [(start - left, centres[source][1] + sizes[source][1] / 2)]
        for lane in grid.lanes[index]:
            route += [(x[lane] - left, tops[grid.layer[lane]]), (x[lane] - left, bottoms[grid.layer[lane]])]
        route.append((end - left, centres[target][1] - sizes[target][1] / 2))
        routes.append(route)
    return Layout(right - left, bottoms[-1] + MARGIN, centres, routes)


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each box: the first below all that it reads; what reads nothing stands just above its reader."""
    layers = [0] * count
    for box in range(count):
        layers[box] = max((layers[source] + 1 for source, target in edges if target == box), default=0)
    sources = {target for _, target in edges}
    for box in range(count):
        readers = [layers[target] for source, target in edges if source == box]
        if box not in sources and readers:
            layers[box] = min(readers) - 1
    return layers


@dataclass
class _Grid:
    """Places, layer by layer: the boxes, and the lanes in which edges pass a layer, numbered after the boxes."""

    sizes: Sequence[tuple[float, float]]
    edges: Sequence[tuple[int, int]]
    layer: list[int]
    lanes: list[list[int]] = field(default_factory=list)
    """The lanes of each edge, from top to bottom."""
    links: list[tuple[int, int, float]] = field(default_factory=list)
    """Pairs in neighboring layers, and how strongly they pull each other: long edges want to be straight."""
    rows: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.layer = list(self.layer)
        for source, target in self.edges:
            passed = range(self.layer[source] + 1, self.layer[target])
            lanes = list(range(len(self.layer), len(self.layer) + len(passed)))
            self.layer += passed
            self.lanes.append(lanes)
            chain = [source, *lanes, target]
            for a, b in pairwise(chain):
                self.links.append((a, b, _PULL[(a in lanes) + (b in lanes)]))
        boxes = len(self.sizes)
        self.widths = {place: self.sizes[place][0] if place < boxes else LANE for place in range(len(self.layer))}
        self.rows = [[] for _ in range(max(self.layer, default=0) + 1)]
        for place, row in enumerate(self.layer):
            self.rows[row].append(place)
        self.above: dict[int, list[tuple[int, float]]] = {place: [] for place in self.widths}
        self.below: dict[int, list[tuple[int, float]]] = {place: [] for place in self.widths}
        for a, b, weight in self.links:
            self.above[b].append((a, weight))
            self.below[a].append((b, weight))

    def order(self) -> None:
        """Order the rows so that few edges cross."""
        best, fewest = [list(row) for row in self.rows], self.crossings()
        for sweep in range(_SWEEPS):
            if fewest == 0:
                break
            down = sweep % 2 == 0
            for row in self.rows[1:] if down else self.rows[-2::-1]:
                self._sort(row, self.above if down else self.below)
            if (crossings := self.crossings()) < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _sort(self, row: list[int], neighbours: Mapping[int, list[tuple[int, float]]]) -> None:
        rank = self._ranks()
        means = {
            place: sum(rank[other] for other, _ in near) / len(near) if (near := neighbours[place]) else rank[place]
            for place in row
        }
        row.sort(key=lambda place: means[place])

    def _ranks(self) -> dict[int, int]:
        return {place: rank for row in self.rows for rank, place in enumerate(row)}

    def crossings(self) -> int:
        """Return how many pairs of edges cross between neighboring rows."""
        rank = self._ranks()
        total = 0
        for row in self.rows[:-1]:
            ends = sorted((rank[a], rank[b]) for a in row for b, _ in self.below[a])
            total += sum(b > d for i, (a, b) in enumerate(ends) for c, d in ends[i + 1 :] if a != c)
        return total

    def places(self) -> dict[int, float]:
        """The horizontal center of every box and lane."""
        x: dict[int, float] = {}
        for row in self.rows:
            left = 0.0
            for place in row:
                x[place] = left + self.widths[place] / 2
                left += self.widths[place] + GAP_X
        for sweep in range(8 * _SWEEPS):
            down = sweep % 2 == 0
            for row in self.rows if down else reversed(self.rows):
                self._pull(row, x, both=sweep > 2 * _SWEEPS, down=down)
        self._straighten(x)
        return x

    def _straighten(self, x: dict[int, float]) -> None:
        """Put all lanes of an edge below each other, where their neighbors leave a common place."""
        for lanes in self.lanes:
            if len(lanes) < 2:
                continue
            free = [self._room(lane, x) for lane in lanes]
            low, high = max(left for left, _ in free), min(right for _, right in free)
            if low <= high:
                middle = sorted(x[lane] for lane in lanes)[len(lanes) // 2]
                x.update(dict.fromkeys(lanes, min(max(middle, low), high)))

    def _room(self, lane: int, x: Mapping[int, float]) -> tuple[float, float]:
        """Return how far to the left and to the right a lane could move."""
        row = self.rows[self.layer[lane]]
        rank = row.index(lane)
        left, right = row[rank - 1] if rank else None, row[rank + 1] if rank + 1 < len(row) else None
        return (
            float("-inf") if left is None else x[left] + self._apart(left, lane),
            float("inf") if right is None else x[right] - self._apart(lane, right),
        )

    def _pull(self, row: list[int], x: dict[int, float], *, both: bool, down: bool) -> None:
        """Move a row as close to its neighbors as its order and gaps allow, by least squares."""
        wanted, weights = [], []
        for place in row:
            near = [*(self.above[place] if down or both else ()), *(self.below[place] if not down or both else ())]
            total = sum(weight for _, weight in near)
            wanted.append(sum(x[other] * weight for other, weight in near) / total if near else x[place])
            weights.append(total or 0.1)
        offsets = [0.0]
        for a, b in pairwise(row):
            offsets.append(offsets[-1] + self._apart(a, b))
        moved = _ascending([w - o for w, o in zip(wanted, offsets, strict=True)], weights)
        for place, centre, offset in zip(row, moved, offsets, strict=True):
            x[place] = centre + offset

    def _apart(self, a: int, b: int) -> float:
        """Least distance between the centers of neighbors; two lanes need less room between them than boxes."""
        boxes = len(self.sizes)
        gap = GAP_X if a < boxes and b < boxes else GAP_X / 2 if a < boxes or b < boxes else 4.0
        return (self.widths[a] + self.widths[b]) / 2 + gap


def _ascending(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The ascending numbers nearest to `values` by weighted least squares (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, v, m), (b, w, n) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, m + n)]
    return [value for value, _, count in pools for _ in range(count)]


def _rows(sizes: Sequence[tuple[float, float]], layers: Sequence[int]) -> tuple[list[float], list[float]]:
    """The upper and lower border of every layer."""
    tops, bottoms, at = [], [], MARGIN
    for row in range(max(layers[: len(sizes)], default=0) + 1):
        height = max((size[1] for size, layer in zip(sizes, layers, strict=True) if layer == row), default=0.0)
        tops.append(at)
        bottoms.append(at + height)
        at += height + GAP_Y
    return tops, bottoms


def _ends(grid: _Grid, x: Mapping[int, float], sizes: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where each edge leaves its source and reaches its target, side by side where there are several."""
    starts: dict[int, list[tuple[float, int]]] = {}
    stops: dict[int, list[tuple[float, int]]] = {}
    for index, (source, target) in enumerate(grid.edges):
        chain = [source, *grid.lanes[index], target]
        starts.setdefault(source, []).append((x[chain[1]], index))
        stops.setdefault(target, []).append((x[chain[-2]], index))
    places: list[list[float]] = [[0.0, 0.0] for _ in grid.edges]
    for side, ends in enumerate((starts, stops)):
        for box, edges in ends.items():
            step = min(18.0, (sizes[box][0] - 16) / max(len(edges) - 1, 1))
            for rank, (_, index) in enumerate(sorted(edges)):
                places[index][side] = x[box] + (rank - (len(edges) - 1) / 2) * step
    return [(start, stop) for start, stop in places]

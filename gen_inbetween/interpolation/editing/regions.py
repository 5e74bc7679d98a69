"""Region trees: superpixels of a picture, merged step by step around clicks.

Superpixels are watersheds of the gradient from its lowest point in each cell of a grid. Neighbours are merged, the
cheapest first, where

    cost(a, b) = edge(a, b)^p  |colour(a) - colour(b)|^q  (n_a n_b / (n_a + n_b))^r

edge: mean gradient along their border; n: pixels. Exponents (p, q, r) make a tree: (0, 1, 1/2) is Ward's, (1, 0, r)
follows edges. Two regions of which one holds a click and the other a negative one are never merged. What the regions
of the clicks are after each step are the candidates for the mask.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import dist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_position, watershed_ift
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from gen_inbetween.interpolation.editing.masks import Bool

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int32]
Tree = tuple[float, float, float]
Spots = list[tuple[int, int]]  # clicks: x, y in whole pixels

COUNT = 640  # superpixels, one for each cell of the grid
LEVELS = (0.25, 0.4, 0.55, 0.7)  # of the distance at the click: what is farther from the border is the thing
TREES: tuple[Tree, ...] = ((0.0, 1.0, 0.5), (1.0, 0.0, 0.25), (1.0, 1.0, 0.5))


@dataclass(frozen=True)
class Superpixels:
    """S superpixels of a picture (H, W)."""

    labels: Labels  # (H, W), 0 .. S - 1
    sizes: Floats  # (S,) pixels
    colours: Floats  # (S, 3) mean Lab
    pairs: NDArray[np.int_]  # (E, 2) neighbours, the smaller label first
    borders: Floats  # (E,) pixels of the border between two
    edges: Floats  # (E,) mean gradient along it


def superpixels(lab: Floats, gradient: Floats) -> Superpixels:
    """Of a picture in Lab (H, W, 3) and its gradient (H, W), both as large as it."""
    height, width = gradient.shape
    cell = max(2.0, (height * width / COUNT) ** 0.5)
    rows, columns = ((np.arange(side) / cell).astype(int) for side in (height, width))
    cells = rows[:, None] * (columns[-1] + 1) + columns[None]
    lowest = np.array(minimum_position(gradient, cells, np.arange(cells.max() + 1)))
    markers = np.zeros((height, width), np.int32)
    markers[lowest[:, 0], lowest[:, 1]] = np.arange(1, len(lowest) + 1)
    levels = (255 * gradient / max(float(gradient.max()), 1e-6)).astype(np.uint8)
    labels = watershed_ift(levels, markers) - 1
    count = len(lowest)
    sizes = np.bincount(labels.ravel(), minlength=count).astype(float)
    colours = np.stack([np.bincount(labels.ravel(), lab[..., k].ravel(), count) for k in range(3)], 1) / sizes[:, None]
    across = labels[:, :-1], labels[:, 1:], np.maximum(gradient[:, :-1], gradient[:, 1:])
    down = labels[:-1], labels[1:], np.maximum(gradient[:-1], gradient[1:])
    one, other, strength = (np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(across, down, strict=True))
    apart = one != other
    low, high = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
    keys, where = np.unique(low.astype(np.int64) * count + high, return_inverse=True)
    borders = np.bincount(where).astype(float)
    edges = np.bincount(where, strength[apart]) / borders
    return Superpixels(labels, sizes, colours, np.stack([keys // count, keys % count], 1), borders, edges)


def border_distances(regions: Superpixels, slack: float) -> Floats:
    """(S,) the least sum of colour steps, each less `slack`, on the way from the picture's border to each superpixel.

    (Geodesic saliency: Wei et al., ECCV 2012.) What differs from all that surrounds it is far.
    """
    one, other = regions.pairs.T
    steps = np.linalg.norm(regions.colours[one] - regions.colours[other], axis=1)
    weights = np.maximum(steps - slack, 0) + 1e-3
    labels = regions.labels
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    count = len(regions.sizes)
    graph = csr_matrix((weights, (one, other)), shape=(count, count))
    return np.asarray(dijkstra(graph, directed=False, indices=rim, min_only=True))


def region_masks(regions: Superpixels, distances: Sequence[Floats], on: Spots, off: Spots) -> Iterator[Bool]:
    """Masks (H, W) of the trees, and of what is far from the border by each of `distances` (S,)."""
    labels = regions.labels
    held, kept_out = ([int(labels[y, x]) for x, y in spots] for spots in (on, off))
    kept_out = [name for name in kept_out if name not in held]
    for tree in TREES:
        for members in merged_regions(regions, tree, held, kept_out):
            inside = np.zeros(len(regions.sizes), bool)
            inside[members] = True
            yield inside[labels]
    for distance in distances:
        for level in LEVELS:
            far = distance > level * distance[held].min()
            far[kept_out] = False
            yield far[labels]


def merged_regions(
    regions: Superpixels, tree: Tree, on: Sequence[int], off: Sequence[int]
) -> Iterator[NDArray[np.int_]]:
    """The superpixels that are one region with those of the clicks `on`, after each step that changes them."""
    merger = _Merger(regions, tree, set(on), set(off))
    yield merger.clicked()
    while (changed := merger.step()) is not None:
        if changed:
            yield merger.clicked()


class _Merger:
    """Regions that are merged, the cheapest pair first. A region is named by one of its superpixels."""

    def __init__(self, regions: Superpixels, tree: Tree, on: set[int], off: set[int]) -> None:
        self.tree, self.on, self.off = tree, on, off
        # plain numbers: far faster one by one
        self.sizes, self.colours = regions.sizes.tolist(), regions.colours.tolist()
        self.members = {number: [number] for number in range(len(self.sizes))}
        self.borders: dict[int, dict[int, tuple[float, float]]] = {number: {} for number in self.members}
        self.version = [0] * len(self.sizes)
        self.heap: list[tuple[float, int, int, int, int]] = []
        for (a, b), length, edge in zip(
            regions.pairs.tolist(), regions.borders.tolist(), regions.edges.tolist(), strict=True
        ):
            self.borders[a][b] = self.borders[b][a] = (length, length * edge)
        for a, b in regions.pairs.tolist():
            self._push(a, b)

    def clicked(self) -> NDArray[np.int_]:
        return np.concatenate([self.members[name] for name in sorted(self.on)])

    def step(self) -> bool | None:
        """Merge one pair; True where a region with a click grew; None: nothing is left to merge."""
        while self.heap:
            _, a, b, version_a, version_b = heapq.heappop(self.heap)
            if a not in self.members or b not in self.members:
                continue
            if (self.version[a], self.version[b]) != (version_a, version_b):
                continue
            if (a in self.on and b in self.off) or (a in self.off and b in self.on):
                continue
            return self._merge(a, b)
        return None

    def _merge(self, a: int, b: int) -> bool:
        grew = a in self.on or b in self.on
        for group in (self.on, self.off):
            if b in group:
                group.remove(b)
                group.add(a)
        whole = self.sizes[a] + self.sizes[b]
        share = self.sizes[b] / whole
        self.colours[a] = [x + share * (y - x) for x, y in zip(self.colours[a], self.colours[b], strict=True)]
        self.sizes[a] = whole
        self.members[a] += self.members.pop(b)
        self.version[a] += 1
        del self.borders[a][b]
        for other, (length, strength) in self.borders.pop(b).items():
            if other == a:
                continue
            del self.borders[other][b]
            before = self.borders[a].get(other, (0.0, 0.0))
            self.borders[a][other] = self.borders[other][a] = (before[0] + length, before[1] + strength)
        for other in self.borders[a]:
            self._push(a, other)
        return grew

    def _push(self, a: int, b: int) -> None:
        edge_power, colour_power, size_power = self.tree
        length, strength = self.borders[a][b]
        distance = dist(self.colours[a], self.colours[b])
        n, m = self.sizes[a], self.sizes[b]
        cost = (
            (strength / length + 1e-3) ** edge_power
            * (distance + 1e-3) ** colour_power
            * (n * m / (n + m)) ** size_power
        )
        heapq.heappush(self.heap, (cost, a, b, self.version[a], self.version[b]))

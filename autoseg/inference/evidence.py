"""How much a prediction's own networks trust it, in a few sums per structure, gathered while the tiles pass.

Every fold is taken for itself: its probabilities `p` are the softmax (regions: sigmoid) of its mean logits over the mirrored copies, its
mask `m` is what wins by these same logits, and `m_i` is what wins in copy i alone. With `w`, a tile's share of every pixel (see
`tiling.shares`; over all tiles they add up to 1), sums over the tiles are

| figure | of a fold | tells |
|---|---|---|
| soft Dice | 2 sum(w p m) / (sum(w p) + sum(w m)) | how sure the fold is of its own mask |
| mirror Dice | mean over i of 2 sum(w m_i m) / (sum(w m_i) + sum(w m)) | how well the mask holds when the image is mirrored |
| pixels | sum(w m) | size of the mask on the networks' grid |

The first is the "soft Dice confidence" of Borges et al. 2024 (arXiv 2402.10665), near the Dice that is to be expected if the
probabilities are calibrated; mirrored copies as a measure of doubt are those of Wang et al. 2019 (Neurocomputing 338). What real Dice
they stand for is told by `metrics.predicted_dice`, from cases whose labels are known. The figures are averaged over the folds, and are
not those of the ensemble's common mask: so an ensemble's evidence is comparable with that of a single fold, which is all there is
out of fold.

What does not count: padding, tiles that are constant in every channel (air), and pixels where no structure reaches odds of 1 to 1000
in a fold's mean or wins in one of its copies; these are certain background. Memory is that of a batch of tiles: one set of logits per
fold, and one byte a pixel for each member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, prod

import numpy as np
import torch

from autoseg.inference.tiling import Grid, centred_padding, shares
from autoseg.records import Evidence, Structure, StructureEvidence

LEAST_LOG_ODDS = log(1e-3)  # a pixel below it, for every structure, is certain background


class EvidenceSums:
    """Takes the logits of every member, tile by tile, for one image.

    Args:
        shape: of the prepared image, `(*spatial)`.
        grid: its tiles.
        n_outputs: K.
        regions: outputs overlap.
    """

    def __init__(self, shape: Sequence[int], grid: Grid, n_outputs: int, *, regions: bool):
        self.n_outputs, self.regions = n_outputs, regions
        self._shares = _shares_inside(shape, grid)
        self._members: dict[int, _FoldTiles] = {}  # of the batch that is under way
        self._tables: dict[int, _Tables] = {}

    def member(self, fold: int, logits: torch.Tensor) -> None:
        """Take the logits (B, K, *patch) of one mirrored copy, turned back, by one fold. They are not kept."""
        self._members.setdefault(fold, _FoldTiles(self.n_outputs, self.regions)).add(logits)

    def end_batch(self, corners: Sequence[Sequence[int] | None]) -> None:
        """All members have seen the batch; its tiles start at these corners (None: the tile does not count)."""
        for fold, tiles in self._members.items():
            tables = self._tables.setdefault(fold, _Tables.empty(tiles.n_copies, self.n_outputs, self.regions))
            for index, corner in enumerate(corners):
                if corner is not None:
                    tables.add(tiles, index, self._weight(corner))
        self._members.clear()

    def evidence(
        self, groups: Mapping[str, Sequence[int]], shape: Sequence[int] = (), medians: tuple[float, ...] | None = None
    ) -> Evidence:
        """The figures, averaged over the folds, with what else is to be noted of the image.

        Args:
            groups: by name the outputs that make up a structure; for regions one each.
            shape: of the image as it was read.
            medians: per channel, of the intensities in the predicted foreground.
        """
        everything = range(1, self.n_outputs) if not self.regions else [self.n_outputs]
        return Evidence(
            structures={name: self._of(outputs) for name, outputs in groups.items()},
            foreground=self._of(everything),
            shape=tuple(shape),
            medians=medians,
        )

    def _of(self, outputs: Sequence[int]) -> StructureEvidence:
        found = [tables.figures(list(outputs)) for tables in self._tables.values()]
        pixels = float(np.mean([figures.pixels for figures in found])) if found else 0.0
        if pixels == 0:
            return StructureEvidence(soft_dice=None, mirror_dice=None, pixels=0.0)
        mirror = [figures.mirror_dice for figures in found if figures.mirror_dice is not None]
        return StructureEvidence(
            soft_dice=round(float(np.mean([figures.soft_dice for figures in found])), 6),
            mirror_dice=round(float(np.mean(mirror)), 6) if mirror else None,
            pixels=round(pixels, 1),
        )

    def _weight(self, corner: Sequence[int]) -> torch.Tensor:
        """A tile's share of every pixel, flattened, float64; 0 in the padding."""
        weight = np.ones(())
        for start, by_start in zip(corner, self._shares, strict=True):
            weight = weight[..., None] * by_start[start]
        return torch.from_numpy(weight.reshape(-1))


def output_groups(targets: Sequence[Structure], derived: Sequence[Structure], regions: bool) -> dict[str, tuple[int, ...]]:
    """By name the outputs that make up each structure. Of overlapping regions, derived structures are left out: no output tells them."""
    if regions:
        return {target.name: (index,) for index, target in enumerate(targets)}
    return {structure.name: tuple(structure.values) for structure in (*targets, *derived)}


def evidence_bytes(n_outputs: int, patch: Sequence[int], n_folds: int, n_copies: int, regions: bool) -> int:
    """Main memory for each tile of a batch: sums per fold, winners per member, and the weights and probabilities of one tile."""
    winners = n_copies * (n_outputs + 1 if regions else 1)
    return prod(patch) * (n_folds * (4 * n_outputs + winners) + 8 * (n_outputs + 3))


class _FoldTiles:
    """What is kept of a batch of tiles for one fold until all its copies have come."""

    def __init__(self, n_outputs: int, regions: bool):
        self.n_outputs, self.regions = n_outputs, regions
        self.total: torch.Tensor | None = None  # (B, K, pixels)
        self.winners: list[torch.Tensor] = []  # per copy (B, pixels), for regions (B, K + 1, pixels)

    @property
    def n_copies(self) -> int:
        return len(self.winners)

    def add(self, logits: torch.Tensor) -> None:
        flat = logits.flatten(2)
        self.winners.append(self.winners_of(flat))
        self.total = flat.to(torch.float32, copy=True) if self.total is None else self.total.add_(flat)

    def winners_of(self, logits: torch.Tensor) -> torch.Tensor:
        """Of (B, K, pixels): the winner (B, pixels), for regions what is above 0 and whether anything is (B, K + 1, pixels)."""
        if self.regions:
            above = logits > 0
            return torch.cat([above, above.any(1, keepdim=True)], 1)
        best, kind = logits[:, 0], torch.uint8 if self.n_outputs <= 256 else torch.int32
        winners = torch.zeros(best.shape, dtype=kind, device=best.device)
        for output in range(1, self.n_outputs):  # a quarter of the time of argmax along this axis on a CPU
            values = logits[:, output]
            winners = torch.maximum(winners, (values > best).to(kind) * output)
            best = torch.maximum(best, values) if output + 1 < self.n_outputs else best
        return winners


@dataclass(eq=False)
class _Figures:
    soft_dice: float
    mirror_dice: float | None
    pixels: float


@dataclass(eq=False)
class _Tables:
    """Sums over the tiles for one fold.

    Exclusive labels: `probability[j, k]` is the probability of output j where k won, `copies[i, j, k]` the pixels where j won in
    copy i and k in the mean; a union of outputs is then a block of the table. Regions have K + 1 rows (the last is the foreground),
    with the columns "where it did not win" and "where it won".
    """

    probability: np.ndarray
    copies: np.ndarray
    regions: bool

    @classmethod
    def empty(cls, n_copies: int, n_outputs: int, regions: bool) -> _Tables:
        shape = (n_outputs + 1, 2) if regions else (n_outputs, n_outputs)
        copies = (n_outputs + 1, 2, 2) if regions else shape
        return cls(np.zeros(shape), np.zeros((n_copies, *copies)), regions)

    def add(self, tiles: _FoldTiles, index: int, weight: torch.Tensor) -> None:
        """Add a tile of a batch, whose pixels have these weights."""
        assert tiles.total is not None
        logits = tiles.total[index] / tiles.n_copies
        there = _may_be_foreground(logits, [winners[index] for winners in tiles.winners], self.regions)
        if not len(there):
            return
        logits, weight = logits[:, there], weight.to(there.device)[there]
        mean = tiles.winners_of(logits[None])[0]
        copies = [winners[index][..., there] for winners in tiles.winners]
        if self.regions:
            self._add_regions(logits, mean, copies, weight)
        else:
            self._add_exclusive(logits, mean, copies, weight)

    def figures(self, outputs: list[int]) -> _Figures:
        """Of the union of some outputs."""
        n_copies = len(self.copies)
        if self.regions:
            (row,) = outputs
            both, probability = self.probability[row, 1], self.probability[row].sum()
            pairs = [(table[row, 1, 1], table[row, 1].sum(), table[row, :, 1].sum()) for table in self.copies]
        else:
            chosen = np.ix_(outputs, outputs)
            both, probability = self.probability[chosen].sum(), self.probability[outputs].sum()
            pairs = [(table[chosen].sum(), table[outputs].sum(), table[:, outputs].sum()) for table in self.copies]
        pixels = float(pairs[0][2])  # the same for every copy
        if pixels == 0:  # while other folds found it
            return _Figures(0.0, 0.0 if n_copies > 1 else None, 0.0)
        mirror = float(np.mean([2 * both_won / (own + pixels) for both_won, own, _ in pairs])) if n_copies > 1 else None
        return _Figures(float(2 * both / (probability + pixels)), mirror, pixels)

    def _add_exclusive(
        self, logits: torch.Tensor, mean: torch.Tensor, copies: Sequence[torch.Tensor], weight: torch.Tensor
    ) -> None:
        n = len(self.probability)
        mean = mean.long()
        for output, values in enumerate(logits.softmax(0)):
            self.probability[output] += _binned(mean, values.double().mul_(weight), n)
        for table, winners in zip(self.copies, copies, strict=True):
            table += _binned(winners.long().mul_(n).add_(mean), weight, n * n).reshape(n, n)

    def _add_regions(
        self, logits: torch.Tensor, mean: torch.Tensor, copies: Sequence[torch.Tensor], weight: torch.Tensor
    ) -> None:
        probability = logits.sigmoid()
        probability = torch.cat([probability, probability.amax(0, keepdim=True)])  # of the union: at least that of one
        for row, (values, won) in enumerate(zip(probability, mean.long(), strict=True)):
            self.probability[row] += _binned(won, values * weight, 2)
            for table, winners in zip(self.copies, copies, strict=True):
                table[row] += _binned(winners[row].long().mul_(2).add_(won), weight, 4).reshape(2, 2)


def _may_be_foreground(logits: torch.Tensor, copies: Sequence[torch.Tensor], regions: bool) -> torch.Tensor:
    """Indices of the pixels of a tile, (K, pixels), that are not certain background."""
    if regions:
        candidates = logits.amax(0) > LEAST_LOG_ODDS
        for winners in copies:
            candidates |= winners[-1]
    else:
        highest = logits[1] if len(logits) == 2 else logits[1:].amax(0)
        candidates = highest - logits[0] > LEAST_LOG_ODDS
        for winners in copies:
            candidates |= winners > 0
    return candidates.nonzero()[:, 0]


def _binned(where: torch.Tensor, weights: torch.Tensor, n: int) -> np.ndarray:
    return np.asarray(torch.bincount(where, weights, minlength=n).double().cpu().numpy())


def _shares_inside(shape: Sequence[int], grid: Grid) -> list[dict[int, np.ndarray]]:
    """Per axis and start, a tile's share of each of its planes; 0 in the padding about the image."""
    found = []
    for patch, starts, length, (before, _) in zip(
        grid.patch, grid.starts, shape, centred_padding(shape, grid.patch), strict=True
    ):
        by_start = {}
        for start, share in shares(patch, starts).items():
            plane = np.arange(start, start + patch)
            by_start[start] = np.where((plane >= before) & (plane < before + length), share, 0).astype(float)
        found.append(by_start)
    return found

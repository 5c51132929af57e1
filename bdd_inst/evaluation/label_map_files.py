"""Label maps from files, data sets and instances: what the figures of :mod:`label_map` are counted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.evaluation.ground_truth import GroundTruth, GroundTruthBuilder, to_rle
from bdd_inst.evaluation.label_map import LabelMapCounter
from bdd_inst.evaluation.results import Results, group
from bdd_inst.evaluation.sem_seg import BACKGROUND, SemSegCounter
from bdd_inst.formats.label_map import VOID, class_instances, read_label_map
from bdd_inst.formats.sniff import Found
from bdd_inst.formats.value_names import ENDINGS, ValueNames, ending_of, image_key
from bdd_inst.images.png_kinds import kind_of, pixels
from bdd_inst.masks import run_lengths
from bdd_inst.masks.label_runs import paint


@dataclass
class MapFolder:
    """Label map files by image (:func:`formats.value_names.image_key`), and what their values mean.

    ``ending`` is the one of their names that says it; ``values`` names those in the files, None where they are class numbers.
    """

    files: dict[str, Path]
    binary: bool
    source: str
    ending: str = ""
    values: ValueNames | None = None

    @property
    def class_names(self) -> list[str] | None:
        """The classes in the order of their numbers from 1, where they are known."""
        return None if self.values is None else list(self.values.values())

    def read(self, key: str) -> np.ndarray:
        """H,W class numbers, uint8 (uint16 where a file has 16 bits); of 0/255 masks 255 is 1; values without a name are 255, void."""
        if not self.binary:
            stored = read_label_map(self.files[key])
            return stored if self.values is None else self.numbers()[stored]
        values = pixels(self.files[key])
        return ((values if values.ndim == 2 else values[..., 0]) > 127).astype(np.uint8)

    def numbers(self) -> np.ndarray:
        """V uint8, V being 65536: the class number of every value that a file may store."""
        out = np.full(1 << 16, VOID, np.uint8)
        out[0] = 0
        for number, value in enumerate(self.values or (), 1):
            out[value] = number
        return out


MAP_KINDS = ("label-map", "binary-masks")


def open_maps(
    found: Found, like: MapFolder | None = None, values: ValueNames | None = None
) -> MapFolder:
    """The label maps of a source of one of MAP_KINDS: a folder, a pattern such as ``labels/*_person.png``, or one PNG.

    Where it holds maps of persons and of clothes, those of the same ending as ``like`` are taken. ``values`` says what theirs mean where
    the files' endings do not.

    Raises:
        DataError: files of two endings together, two files for one image, no label maps.
    """
    path, chosen = found.path, found.files
    if like is not None and like.ending:
        chosen = [f for f in chosen if f.stem.endswith(like.ending)] or chosen
    ending = ending_of(chosen, Path(path))
    files: dict[str, Path] = {}
    for file in chosen:
        key = image_key(file.stem)
        if key in files:
            raise DataError(f"{path}: {files[key].name} and {file.name} are of one image")
        files[key] = file
    binary = kind_of(chosen, path, named=True) == "binary-masks"
    return MapFolder(
        files, binary=binary, source=str(path), ending=ending, values=values or ENDINGS.get(ending)
    )


def compare_folders(
    truth: MapFolder, predicted: MapFolder, class_names: Sequence[str] | None = None
) -> tuple[SemSegCounter, ProblemLog]:
    """Count prediction PNGs against label maps, paired by image; what is no class is void in the truth, background in a prediction.

    Raises:
        DataError: a prediction of no image, a map of another size, nothing in common.
    """
    problems = ProblemLog()
    unknown = sorted(set(predicted.files) - set(truth.files))
    if unknown:
        raise DataError(
            f"{predicted.source}: {predicted.files[unknown[0]].name} has no label map in {truth.source}"
        )
    pairs = []
    for key in sorted(truth.files):
        want = truth.read(key)
        if key not in predicted.files:
            problems.add(
                "image-without-prediction",
                truth.files[key].name,
                "no prediction; every pixel counts as background",
            )
            pairs.append((want, np.zeros_like(want)))
            continue
        got = predicted.read(key)
        if got.shape != want.shape:
            raise DataError(
                f"{predicted.files[key]}: height x width {got.shape[0]}x{got.shape[1]}, "
                f"but its label map is {want.shape[0]}x{want.shape[1]}; predictions must be of the label's size"
            )
        pairs.append((want, got))
    names = list(class_names or truth.class_names or default_names(pairs))
    counter = SemSegCounter([BACKGROUND, *names])
    for want, got in pairs:
        # A label without a class says nothing of what is there; a prediction without one says that it is none of them.
        truth = np.where(want <= len(names), want, VOID).astype(np.int64)
        counter.add(truth, np.where(got <= len(names), got, 0))
    return counter, problems


def truth_of_maps(maps: MapFolder, class_names: Sequence[str] | None = None) -> GroundTruth:
    """Label maps as ground truth of instances: one object a class present. Images named by a number have it as id."""
    values = {key: maps.read(key) for key in sorted(maps.files)}
    names = list(
        class_names or maps.class_names or default_names([(v, v) for v in values.values()])
    )
    builder = GroundTruthBuilder(names, range(1, len(names) + 1), maps.source)
    numbers = all(key.isdigit() for key in values) and len({int(key) for key in values}) == len(
        values
    )
    for n, (key, value) in enumerate(values.items(), 1):
        builder.image(int(key) if numbers else n, f"{key}.png", *value.shape)
        for label, rle in class_instances(value):
            if label > len(names):
                builder.problems.add(
                    "unknown-category",
                    str(maps.files[key]),
                    f"value {label} is none of {len(names)} classes; left out",
                )
                continue
            x1, y1, x2, y2 = run_lengths.to_bbox(rle)
            box = (x1, y1, x2 - x1, y2 - y1)
            builder.add(
                label - 1, box=box, mask=rle, area=None, crowd=False, ignored=False, attributes={}
            )
    built = builder.build()
    built.rule, built.numbered = "pixels", not numbers
    return built


def default_names(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """``class 1`` and so on up to the highest value in pairs of label maps H,W uint8; a lone class is ``foreground``."""
    highest = max((int(want[want != VOID].max(initial=0)) for want, _ in pairs), default=0)
    return ["foreground"] if highest == 1 else [f"class {k + 1}" for k in range(highest)]


def count_results(
    truth: GroundTruth, results: Results, maps: MapFolder | None = None
) -> LabelMapCounter:
    """Instances against label maps: those of ``maps``, else of each image's ``label_file``, else painted from its labeled masks.

    Raises:
        DataError: more classes than a label map has numbers for.
    """
    if len(truth.class_names) >= VOID:
        raise DataError(
            f"{truth.source}: {len(truth.class_names)} classes, and a label map has numbers for {VOID - 1}; leave out --label-maps"
        )
    counter = LabelMapCounter(truth.class_names)
    results = results.with_masks()
    owned, found = (
        group(truth.image, len(truth.image_ids)),
        group(results.image, len(truth.image_ids)),
    )
    for i, (own, mine) in enumerate(zip(owned, found, strict=True)):
        masks = [results.masks[n] for n in mine]
        counter.add(
            truth_map(truth, i, own, maps), masks, results.category[mine], results.scores[mine]
        )
    return counter


def truth_map(
    truth: GroundTruth, image: int, own: np.ndarray, maps: MapFolder | None
) -> np.ndarray:
    """H,W class numbers of one image, uint8 (uint16 where a file has 16 bits). Crowd and ignored objects are void."""
    if maps is not None:
        key = image_key(Path(truth.file_names[image]).stem)
        if key in maps.files:
            return maps.read(key)
    if truth.label_files and truth.label_files[image]:
        return read_label_map(truth.label_files[image])
    height, width = (int(v) for v in truth.sizes[image])
    own = [n for n in own if truth.masks[n] is not None]
    values = [
        VOID if truth.crowd[n] or truth.ignored[n] else int(truth.category[n]) + 1 for n in own
    ]
    return paint(
        [to_rle(truth.masks[n], height, width) for n in own],
        values,
        height=height,
        width=width,
        dtype=np.uint8,
    )

"""What a check finds: a code, a file, an instance, a sentence; and for each code how grave it is and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bdd_inst.base.errors import ProblemLog

ERROR, WARNING, NOTE = "error", "warning", "note"

# code -> (severity, what to do). Errors make the check fail; warnings cost accuracy or honesty; notes are for knowing.
CODES: dict[str, tuple[str, str]] = {
    "unreadable-file": (ERROR, "fetch the label file again"),
    "other-kind": (WARNING, "keep label files of one kind in a folder"),
    "bad-frame": (ERROR, "mend or remove the record"),
    "bad-image": (ERROR, "give every image of the file an id and a file_name"),
    "bad-labels": (ERROR, "labels must be a list, or null where nobody has looked"),
    "bad-label": (ERROR, "mend or remove the label"),
    "bad-box": (ERROR, "a box needs four finite numbers and an area"),
    "bad-polygon": (ERROR, "an outline needs three points or more, all finite numbers"),
    "bad-rle": (ERROR, "runs must add up to the picture's pixels; write the mask again"),
    "bad-segmentation": (ERROR, "write the mask as polygons or RLE"),
    "odd-crowd-flag": (
        WARNING,
        "iscrowd is 0 or 1: write 1 for a crowd, which trains nothing and is scored apart",
    ),
    "bad-image-size": (ERROR, "write the picture's width and height, or give --images"),
    "no-class": (WARNING, "give the object its class"),
    "several-classes": (WARNING, "an object has one class: label it once for each"),
    "category-absent": (NOTE, "no object of a class that was asked for"),
    "crowd-left-out": (NOTE, "the target format has no crowds"),
    "joined-parts": (NOTE, "the target format has one outline an object"),
    "id-or-name": (WARNING, "write the ground truth's picture ids into the results"),
    "scaled-mask": (WARNING, "write the mask again, at the picture's size"),
    "odd-area": (WARNING, "take the area from the mask; COCO's size ranges go by it"),
    "number-as-text": (WARNING, "write numbers as numbers: most tools refuse text there"),
    "unused-category": (NOTE, "remove the category, which no object has, from the list"),
    "no-file-name": (WARNING, "give the image its file_name"),
    "no-name": (WARNING, "give the record its name"),
    "unknown-picture": (ERROR, "remove labels of pictures that the file does not list"),
    "unknown-category": (WARNING, "add the category, or an alias for it"),
    "duplicate-picture-id": (ERROR, "give every picture its own id"),
    "duplicate-id": (ERROR, "give every annotation its own id"),
    "zero-id": (
        ERROR,
        "start annotation ids at 1: pycocotools takes a match with id 0 for no match",
    ),
    "category-order": (
        WARNING,
        "compare ids by name; files of this order give other class numbers",
    ),
    "duplicate-category": (ERROR, "give every category one name and one id"),
    "category-spelling": (WARNING, "write one category in one way"),
    "no-shape": (WARNING, "a label without box, outline or mask teaches nothing"),
    "self-crossing": (WARNING, "redraw the outline, or fill it by the non-zero rule"),
    "outside-picture": (WARNING, "cut the shape at the picture's edge"),
    "no-area": (ERROR, "remove the outline: it encloses nothing"),
    "empty-mask": (ERROR, "remove the label: not one pixel is its"),
    "wrong-size-mask": (ERROR, "draw the mask at the picture's size"),
    "box-mask-disagree": (WARNING, "take the box from the mask"),
    "box-outside": (WARNING, "cut the box at the picture's edge"),
    "duplicate-instance": (WARNING, "remove one of the two"),
    "duplicate-picture": (ERROR, "label every picture once"),
    "unlabelled-picture": (NOTE, "labels: null says nobody has looked; train without them"),
    "empty-picture": (
        NOTE,
        "looked at, nothing there; DATALOADER.FILTER_EMPTY_ANNOTATIONS decides on them",
    ),
    "no-picture-size": (WARNING, "give the folder of pictures with --images"),
    "missing-picture": (ERROR, "fetch the pictures again, or remove their labels"),
    "ambiguous-picture": (ERROR, "name the split's own folder with --images"),
    "unreadable-picture": (ERROR, "fetch the picture again"),
    "truncated-picture": (ERROR, "fetch the picture again: its end is missing"),
    "wrong-size-picture": (
        ERROR,
        "labels and picture are of different sizes: resize one, or find the right picture",
    ),
    "rotated-picture": (
        WARNING,
        "an Exif tag turns this picture: every tool takes it as it is shown; were its labels drawn so?",
    ),
    "scaled-picture": (
        NOTE,
        "more than 8 bits a channel: its values are scaled to 0..255; save it with 8 to choose how",
    ),
    "picture-without-labels": (WARNING, "label it, or leave it out of the folder"),
    "duplicate-content": (WARNING, "the same picture under two names: keep one"),
    "leak-name": (ERROR, "the same name in two splits: take it out of one"),
    "leak-content": (ERROR, "the same picture in two splits: take it out of one"),
    "leak-near": (WARNING, "nearly the same picture in two splits: look at both"),
    # What readers of masks and loaders of data sets count under names of their own.
    "shared-number": (WARNING, "give every instance of a bitmask its own number"),
    "missing-bitmask": (ERROR, "fetch the bitmasks again, or remove the labels"),
    "mask-mismatch": (ERROR, "labels and bitmasks are of different releases, or in another order"),
    "mask-without-label": (WARNING, "labels and bitmasks are of different releases"),
    "no-mask": (WARNING, "a label without mask is left out of instance segmentation"),
    "no-box": (WARNING, "a label without box is left out of detection"),
    "bad-mask": (ERROR, "write the mask again, at the picture's size"),
    "wrong-mask-kind": (ERROR, "save the mask as a palette or gray PNG of class numbers"),
    "broken-file": (ERROR, "fetch the file again"),
    "missing-image": (ERROR, "fetch the pictures again, or remove their labels"),
    "missing-sample": (NOTE, "this machine has part of the set; the rest is not used"),
    "broken-image": (ERROR, "fetch the picture again"),
    "wrong-size-image": (
        ERROR,
        "labels and picture are of different sizes: find the right picture",
    ),
    "image-without-labels": (WARNING, "label it, or leave it out of the folder"),
    "empty-object": (WARNING, "remove the label: not one pixel of the picture is its"),
    "no-usable-object": (NOTE, "nothing of the wanted classes is on it"),
    "category-left-out": (NOTE, "rightly in the file, and no class of this data set"),
    "speck": (NOTE, "a part too small to be an object was left out"),
    "leak-video": (WARNING, "frames of one video in two splits: split by video"),
}


@dataclass(slots=True, frozen=True)
class Finding:
    """One thing found; ``instance`` is empty where the whole file is meant."""

    code: str
    file: str
    instance: str
    message: str

    @property
    def severity(self) -> str:
        return CODES.get(self.code, (ERROR, ""))[0]


@dataclass
class Findings:
    """All findings; of each code the first ``keep`` are kept whole, all are counted."""

    keep: int = 10_000
    counts: Counter = field(default_factory=Counter)
    kept: dict[str, list[Finding]] = field(default_factory=dict)

    def add(self, code: str, file: str, instance: object, message: str, count: int = 1) -> None:
        """Count one finding, or ``count`` of which this is the example."""
        self.counts[code] += count
        some = self.kept.setdefault(code, [])
        if len(some) < self.keep:
            some.append(Finding(code, file, "" if instance is None else str(instance), message))

    def take(self, problems: ProblemLog) -> None:
        """Take over what a reader counted."""
        for code, number in problems.counts.items():
            examples = problems.examples.get(code, [])
            for problem in examples:
                file, _, instance = problem.where.partition(": ")
                self.add(code, file, instance, problem.message)
            self.counts[code] += number - len(examples)

    def of(self, severity: str) -> int:
        """How many findings of that severity there are."""
        return sum(
            number
            for code, number in self.counts.items()
            if CODES.get(code, (ERROR, ""))[0] == severity
        )

    def rows(self) -> list[tuple[str, str, int, Finding | None, str]]:
        """A line for each code, gravest first, then most frequent: severity, code, count, first case, what to do."""
        order = {ERROR: 0, WARNING: 1, NOTE: 2}
        out = []
        for code, number in self.counts.items():
            severity, advice = CODES.get(code, (ERROR, ""))
            out.append((severity, code, number, next(iter(self.kept.get(code, ())), None), advice))
        return sorted(out, key=lambda row: (order[row[0]], -row[2], row[1]))

    def __iter__(self) -> Iterator[Finding]:
        for _, code, *_ in self.rows():
            yield from self.kept.get(code, ())

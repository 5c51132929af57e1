"""One pass over a data set's dicts before anything is built on them: what would train or score wrongly is named, dropped or mended.

Label files pass through the readers of the room ``formats``; a list of dicts that a user registers comes as it is. Here both meet the
same rules, for training and for evaluation, so that nothing is found out only after hours.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.data.validation_masks import checked_mask, refuse_shares
from bdd_inst.data.validation_segments import checked_segments
from bdd_inst.data.validation_values import as_whole_number, shown
from bdd_inst.datasets.dict_array import DictArray, blob_at
from bdd_inst.datasets.dict_packing import NO_MASK, RLE
from bdd_inst.structures import BoxMode

MODES = {int(mode): mode for mode in (BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)}
SUSPICIOUS = 0.1  # share of XYWH boxes that leave the image but would fit as corners, from which on it is reported


def checked_dicts(
    name: str,
    dicts: object,
    metadata: Mapping,
    cfg: CfgNode,
    is_train: bool,
    problems: ProblemLog,
) -> Sequence[dict]:
    """The dicts of one data set in standard form; a DictArray comes from our own readers and is checked by column.

    Args:
        name: the data set's, for messages.
        dicts: what its loader gave.
        metadata: ``thing_classes`` bounds ``category_id``.
        is_train: training drops what cannot train (empty boxes, objects without a mask under MODEL.MASK_ON); evaluation keeps it.
        problems: takes what was dropped or looks wrong, by reason.

    Raises:
        DataError: a dict that would train or score wrongly; names the image and the object.
        ConfigError: no class names, or boxes alone for a model with masks.
    """
    classes = class_names(name, metadata)
    if isinstance(dicts, DictArray):
        if is_train and cfg.MODEL.MASK_ON:
            count_without_mask(name, dicts, problems)
            if cfg.INPUT.MASK_FORMAT == "polygon":
                refuse_run_lengths(name, dicts)
        return dicts
    if isinstance(dicts, (str, bytes, Mapping)) or not isinstance(dicts, Sequence):
        raise DataError(
            f"{name}: its loader gave a {type(dicts).__name__}; it must return a list of dicts, one an image"
        )
    masks = is_train and cfg.MODEL.MASK_ON
    polygons = cfg.INPUT.MASK_FORMAT == "polygon"
    check = _Check(
        name,
        classes=len(classes),
        is_train=is_train,
        masks=masks,
        polygons=polygons,
        problems=problems,
    )
    check.stuff = len(metadata.get("stuff_classes") or ())
    out = [check.image(record, number) for number, record in enumerate(dicts)]
    check.ids(out)
    check.whole()
    return out


def class_names(name: str, metadata: Mapping) -> list[str]:
    """``thing_classes`` of a data set; none where label maps alone have names. Raises ConfigError where nothing has."""
    classes = metadata.get("thing_classes")
    if classes is None and metadata.get("stuff_classes"):
        return []
    if isinstance(classes, (str, bytes)) or not isinstance(classes, Sequence) or not len(classes):
        raise ConfigError(
            f"{name}: its class names are not known; say MetadataCatalog.get({name!r}).set(thing_classes=[...]) where it is registered"
        )
    return list(classes)


def count_without_mask(name: str, dicts: DictArray, problems: ProblemLog) -> None:
    """Count the objects of a DictArray that masks cannot be trained on. Raises ConfigError where none has a mask."""
    arrays = dicts.arrays
    wanted = np.flatnonzero(dicts.plain_objects())
    bare = wanted[arrays["mask_kind"][wanted] == NO_MASK]
    if not bare.size:
        return
    # A mask of an unusual form travels with the other fields of its object.
    extras, place = np.unique(arrays["object_extra"][bare], return_inverse=True)
    odd = [
        b"segmentation" in blob_at(arrays["extra_blob"], arrays["extra_ends"], i)
        for i in extras.tolist()
    ]
    bare = bare[~np.array(odd)[place]]
    if bare.size == wanted.size:
        raise boxes_only(name, int(bare.size))
    if bare.size:
        image = int(np.searchsorted(arrays["object_ends"], bare[0], side="right"))
        example = dicts._image(image)["file_name"]
        problems.add("no-mask", example, NO_MASK_WORDS, count=int(bare.size))


def refuse_run_lengths(name: str, dicts: DictArray) -> None:
    """ConfigError where an object of a DictArray to train on has a mask in pixels, which INPUT.MASK_FORMAT polygon cannot carry."""
    arrays = dicts.arrays
    found = np.flatnonzero(dicts.plain_objects() & (arrays["mask_kind"] == RLE))
    if found.size:
        image = int(np.searchsorted(arrays["object_ends"], found[0], side="right"))
        raise needs_bitmask(f"{name}: {dicts._image(image)['file_name']}")


def needs_bitmask(where: str) -> ConfigError:
    """The error for masks in pixels under INPUT.MASK_FORMAT polygon."""
    return ConfigError(
        f"{where}: a mask in pixels, which INPUT.MASK_FORMAT polygon cannot carry; set INPUT.MASK_FORMAT bitmask"
    )


NO_MASK_WORDS = "an object without a mask; left out of training (MODEL.MASK_ON)"


def boxes_only(name: str, number: int) -> ConfigError:
    """The error for a data set of boxes under a model with masks."""
    return ConfigError(
        f"{name}: none of its {number} objects has a mask, and the model has a mask head; set MODEL.MASK_ON False to train boxes alone"
    )


class _Check:
    """The pass over plain dicts. Given dicts are not changed: what is mended is mended in copies."""

    def __init__(
        self,
        name: str,
        classes: int,
        is_train: bool,
        masks: bool,
        polygons: bool,
        problems: ProblemLog,
    ) -> None:
        self.name, self.classes, self.is_train = name, classes, is_train
        self.masks, self.polygons = masks, masks and polygons
        self.problems = problems
        self.stuff = 0  # classes of label maps
        self.objects = self.bare = self.xywh = self.corners = 0
        self.bare_example = self.corner_example = ""

    def image(self, record: object, number: int) -> dict:
        """One dict, mended."""
        if not isinstance(record, Mapping):
            raise DataError(f"{self.name}: entry {number} is a {type(record).__name__}, not a dict")
        file_name = record.get("file_name")
        if not isinstance(file_name, (str, os.PathLike)) or not os.fspath(file_name):
            raise DataError(f"{self.name}: dict {number} has no file_name")
        where = f"{self.name}: {file_name}"
        # A copy: the loader may hand out the same dicts to another run with other rules.
        out = {**record, "file_name": os.fspath(file_name)}
        for key in ("width", "height"):
            out[key] = as_whole_number(record.get(key))
            if out[key] is None or out[key] < 1:
                raise DataError(
                    f"{where}: {key} is {shown(record, key)}; give the image's {key} in pixels, a whole number"
                )
        if record.get("segments_info") is not None:
            size, classes = (out["height"], out["width"]), (self.classes, self.stuff)
            out["segments_info"] = checked_segments(
                record, where, classes=classes, size=size, problems=self.problems
            )
        if record.get("annotations") is None:
            out.pop("annotations", None)
            return out
        if not isinstance(record["annotations"], (list, tuple)):
            raise DataError(
                f"{where}: annotations is {shown(record, 'annotations')}, not a list of dicts"
            )
        size = (out["height"], out["width"])
        objects = [
            self.object(item, f"{where}, annotations[{i}]", size)
            for i, item in enumerate(record["annotations"])
        ]
        out["annotations"] = [item for item in objects if item is not None]
        return out

    def object(self, item: object, where: str, size: tuple[int, int]) -> dict | None:
        """One annotation, mended; None where it is dropped and counted."""
        if not isinstance(item, Mapping):
            raise DataError(f"{where}: a {type(item).__name__}, not a dict")
        out = dict(item)
        out["category_id"] = self.category(item, where)
        if not isinstance(item.get("attributes") or {}, Mapping):
            raise DataError(f"{where}: attributes is {shown(item, 'attributes')}, not a dict")
        crowd = 0 if item.get("iscrowd") is None else as_whole_number(item["iscrowd"])
        if crowd not in (0, 1):
            raise DataError(f"{where}: iscrowd is {shown(item, 'iscrowd')}; it must be 0 or 1")
        out["iscrowd"] = crowd
        if not self.box(item, out, where, size):
            return None
        mask = checked_mask(item.get("segmentation"), where, size, self.problems)
        out.pop("segmentation", None)
        if mask is not None:
            out["segmentation"] = mask
        if crowd:
            return out
        if self.polygons and isinstance(mask, dict):
            raise needs_bitmask(where)
        self.objects += 1
        if mask is None:
            self.bare, self.bare_example = self.bare + 1, self.bare_example or where
            return None if self.masks else out
        return out

    def category(self, item: Mapping, where: str) -> int:
        """The class index."""
        index = as_whole_number(item.get("category_id"))
        if index is None or not 0 <= index < self.classes:
            raise DataError(
                f"{where}: category_id is {shown(item, 'category_id')}; with {self.classes} thing_classes "
                f"it counts from 0 to {self.classes - 1} (the index of the name, not the id of a label file)"
            )
        return index

    def box(self, item: Mapping, out: dict, where: str, size: tuple[int, int]) -> bool:
        """Put the checked ``bbox`` and ``bbox_mode`` into ``out``; False where the object is dropped."""
        out["bbox_mode"] = mode = self.mode(item, where)
        try:
            x, y, c, d = out["bbox"] = [float(v) for v in item["bbox"]]
        except (KeyError, TypeError, ValueError, OverflowError):
            raise DataError(
                f"{where}: bbox is {shown(item, 'bbox')}; it must be four numbers"
            ) from None
        if not all(map(math.isfinite, (x, y, c, d))):
            self.problems.add("bad-box", where, f"bbox {[x, y, c, d]} is not finite; left out")
            return False
        w, h = (c, d) if mode == BoxMode.XYWH_ABS else (c - x, d - y)
        if w <= 0 or h <= 0:
            # The usual mistake: width and height read as a far corner lie left of or above the near one.
            hint = ", is XYWH_ABS meant?" if mode == BoxMode.XYXY_ABS and min(c, d) > 0 else ""
            message = f"bbox {[x, y, c, d]} as {mode.name} is {w:g} wide and {h:g} high{hint}"
            left = "; left out of training" if self.is_train else ""
            self.problems.add("empty-box", where, message + left)
            return not self.is_train
        height, width = size
        refuse_shares((x, y, x + w, y + h), where, size)
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            message = f"bbox {[x, y, c, d]} lies outside the image of {width}x{height}"
            left = "; left out of training" if self.is_train else ""
            self.problems.add("empty-object", where, message + left)
            return not self.is_train
        if mode == BoxMode.XYWH_ABS:
            self.xywh += 1
            # A pixel of tolerance: many tools round a box's far edge up.
            leaves = x + w > width + 1 or y + h > height + 1
            if leaves and x < c <= width + 1 and y < d <= height + 1:
                self.corners, self.corner_example = self.corners + 1, self.corner_example or where
        return True

    def mode(self, item: Mapping, where: str) -> BoxMode:
        """The box mode; a name (``"XYWH_ABS"``, ``"BoxMode.XYWH_ABS"``) serves as well."""
        given = item.get("bbox_mode")
        if isinstance(given, str):
            given = getattr(BoxMode, given.removeprefix("BoxMode."), None)
        found = MODES.get(as_whole_number(given))
        if found is None:
            raise DataError(
                f"{where}: bbox_mode is {shown(item, 'bbox_mode')}; it must be BoxMode.XYXY_ABS (0) or BoxMode.XYWH_ABS (1), in pixels"
            )
        return found

    def ids(self, records: list[dict]) -> None:
        """Image ids: one each. Where no dict has one they are numbered from 1; an image listed twice may train twice."""
        if all(record.get("image_id") is None for record in records):
            for number, record in enumerate(records, 1):
                record["image_id"] = number
            return
        seen: dict[object, str] = {}
        for record in records:
            file_name, given = record["file_name"], record.get("image_id")
            image_id = given if isinstance(given, str) else as_whole_number(given)
            if image_id is None:
                raise DataError(
                    f"{self.name}: {file_name}: image_id is {shown(record, 'image_id')}; give every image a number or a word of its own"
                )
            record["image_id"] = image_id
            other = seen.get(image_id)
            seen[image_id] = file_name
            # Twice in training only weighs an image more; twice in evaluation its objects would count twice.
            if other is not None and (other != file_name or not self.is_train):
                raise DataError(
                    f"{self.name}: {other} and {file_name} both have the image_id {image_id!r}; give every image one of its own"
                )

    def whole(self) -> None:
        """What only the whole set can tell."""
        if self.masks and self.objects and self.bare == self.objects:
            raise boxes_only(self.name, self.objects)
        if self.masks and self.bare:
            self.problems.add("no-mask", self.bare_example, NO_MASK_WORDS, count=self.bare)
        if self.corners and self.corners >= SUSPICIOUS * self.xywh:
            message = f"{self.corners} of {self.xywh} XYWH_ABS boxes leave their image but would fit as corners; is bbox_mode XYXY_ABS meant?"
            self.problems.add("box-mode", self.corner_example, message, count=self.corners)

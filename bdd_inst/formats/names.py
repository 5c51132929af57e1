"""Images found by name, however another file writes it: with or without folder, with or without ending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from bdd_inst.formats.records import ImageLabels


def bare(name: str) -> str:
    """A name with its folder and without its ending.

    Args:
        name: with ``/``.

    Returns:
        what images and their masks have in common.
    """
    path = PurePosixPath(name)
    return str(path.parent / path.stem)


def full_name(image: ImageLabels) -> str:
    """An image's name, below its video's where the name itself has no folder.

    Args:
        image: of a label set.

    Returns:
        A name with ``/``, as files of a folder a video are called.
    """
    if not image.video or "/" in image.name.replace("\\", "/"):
        return image.name
    return f"{image.video.replace(chr(92), '/').rpartition('/')[2]}/{image.name}"


def cityscapes_image(stem: str) -> str:
    """``aachen_000000_000019_gtFine_polygons`` -> ``aachen_000000_000019_leftImg8bit.png``."""
    head, mark, _ = stem.partition("_gt")
    return f"{head}_leftImg8bit.png" if mark else f"{stem.removesuffix('_polygons')}.png"


class ImageNames:
    """Finds images of one file by the names that other files use: with or without folder, with or without ending."""

    SHORTER = (str, bare, lambda n: PurePosixPath(n).name, lambda n: PurePosixPath(n).stem)

    def __init__(self, names: Sequence[str]):
        self.tables: list[dict[str, int]] = []
        for shorten in self.SHORTER:
            keys = [shorten(name) for name in names]
            times = Counter(keys)
            self.tables.append(
                {key: i for i, key in enumerate(keys) if names[i] and times[key] == 1}
            )

    def find(self, name: str) -> int | None:
        """The image's position, None where there is none (or more than one)."""
        for shorten, table in zip(self.SHORTER, self.tables, strict=True):
            key = shorten(name)
            if key in table:
                return table[key]
        return None

"""What a writer is: something that encodes images one at a time, in any process, and puts the parts together in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.output_paths import output_name
from bdd_inst.formats import shapes
from bdd_inst.formats.names import full_name
from bdd_inst.formats.plan import Plan
from bdd_inst.formats.records import ImageLabels, Instance, size_of

Parts = Callable[[], Iterator[Any]]


@dataclass
class Target:
    """Base of all writers.

    ``encode`` turns one image into a part (anything JSON can say) and may write that image's own file; it runs in worker processes.
    ``finish`` writes what belongs to the whole. ``skipped`` counts what could not be written, ``lost`` what the target format cannot say.
    """

    folder: ClassVar[bool] = False  # whether ``path`` is a folder with a file an image
    suffix: ClassVar[str] = ""  # of those files
    # Whether a.jpg and a.tif may become a.jpg.png and a.tif.png, or readers of the format know an image by its stem alone.
    keeps_endings: ClassVar[bool] = True

    plan: Plan
    path: Path
    prefer: str = "paths"
    masks: str = "auto"
    skipped: ProblemLog = field(default_factory=ProblemLog)
    lost: ProblemLog = field(default_factory=ProblemLog)

    def encode(self, image: ImageLabels) -> Any:
        """One image's part; None where the image is left out (counted)."""
        raise NotImplementedError

    def finish(self, parts: Parts) -> None:
        """Write the whole from its parts, which ``parts()`` gives in order as often as it is called."""
        raise NotImplementedError

    def files_of(self, part: Any) -> Iterable[Path]:
        """The files that ``encode`` wrote for a part."""
        return ()

    def intact(self, part: Any) -> bool:
        """Whether the files of a part are still there, so that work done before counts as done."""
        return all(file.is_file() for file in self.files_of(part))

    def file_of(self, image: ImageLabels) -> Path | None:
        """The file, relative to ``path``, that this image alone gets; None for writers of one file for all."""
        return None

    def name_of(self, image: ImageLabels) -> str:
        """What an image's own file is called: as the image, with this format's ending; images that would share it keep theirs too."""
        name, suffix = full_name(image), self.suffix or ".jpg"
        if name in self.plan.doubles:
            return output_name(name + suffix)
        return output_name(name, suffix)

    @property
    def image_folder(self) -> Path | None:
        """The folder of the images' own files; None for writers of one file for all."""
        return self.path if self.folder else None

    def check_names(self, source: str) -> None:
        """Refuse images that would overwrite each other's files, before anything is written.

        Raises:
            DataError: two images of one name, or of one stem where the format tells images by it.
        """
        if self.image_folder is None:
            return
        if self.plan.repeated is not None:
            raise DataError(
                f"{source}: several images are called {self.plan.repeated}, and would be written to one file; "
                "give each a name of its own"
            )
        if self.plan.doubles and not self.keeps_endings:
            two = " and ".join(sorted(self.plan.doubles)[:2])
            raise DataError(
                f"{source}: {two} would share one {self.suffix} file, for the format tells images by their stems; rename one"
            )

    def size(self, image: ImageLabels) -> tuple[int, int]:
        """Height and width of an image: its own, or the data set's. DataError where neither is known."""
        size = size_of(image)
        if size is not None:
            return size
        if self.plan.size is None:
            raise DataError(
                f"{image.name}: the labels do not say how large it is; give the folder of images with --images"
            )
        height, width = self.plan.size
        self.skipped.add(
            "size-assumed",
            image.name,
            f"no size in its labels; taken for BDD100K's {width}x{height}",
        )
        return self.plan.size

    def known_size(self, image: ImageLabels) -> tuple[int, int] | None:
        """:meth:`size`, None, counted, where it is not known: such an image is left out."""
        try:
            return self.size(image)
        except DataError as error:
            self.skipped.add("no-image-size", self.plan.kind, str(error))
            return None

    def size_to_draw(self, image: ImageLabels, file: str) -> tuple[int, int] | None:
        """Height and width of an image whose masks are to be drawn into a file of its own, ``file`` in messages; None, counted, where
        they are not known or nobody has labeled it."""
        size = self.known_size(image)
        if size is not None and not image.labeled:
            message = f"labels are null or missing; no {file} is written, for an empty one says that nothing is there"
            self.skipped.add("unlabelled-image", image.name, message)
            return None
        return size

    def drawn(
        self, image: ImageLabels, height: int, width: int
    ) -> Iterator[tuple[Instance, dict | None]]:
        """The image's objects, each with its mask of (height, width) by the plan's rule, None where it has none that can be used."""
        masks = shapes.image_masks(
            image, height, width=width, rule=self.plan.rule, log=self.skipped, prefer=self.prefer
        )
        return zip(image.instances, masks, strict=True)

    def category(self, word: str) -> tuple[str, bool] | None:
        """The category that a source's word means, and whether it is an ignored one; None where it was not asked for (counted)."""
        found = self.plan.words.get(word)
        if found is None:
            self.skipped.add("category-left-out", word, "not among the categories asked for")
        return found

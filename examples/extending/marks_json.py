"""A JSON label format of one's own, a file an image: ``{"photo", "resolution": [width, height], "marks": [{"name", "outline"}]}``.

bdd-inst check --import examples/extending/marks_json.py --input labels --images images
bdd-inst convert --import examples/extending/marks_json.py --input labels --to coco --output labels.json
bdd-inst train --import examples/extending/marks_json.py --config demo.yaml --train labels --train-images images
"""

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.formats import ImageLabels, Instance
from bdd_inst.formats.json_files import plain
from bdd_inst.formats.reading import one_image_a_file
from bdd_inst.formats.registry import register_format
from bdd_inst.masks.outlines import Outline


def signs(glimpse):
    """A file is of this kind where its object has these keys; nothing of it is parsed for that."""
    return glimpse.has("photo", "resolution") and glimpse.is_list("marks")


def read(found):
    """A file or a folder of them; files that cannot be read are counted, and cost themselves alone."""
    return one_image_a_file(found, image_of, rule="coco")


def image_of(top, file, log):
    """The labels of one file; what is wrong with a mark is counted in ``log``, and costs that mark alone."""
    width, height = plain(top["resolution"])
    image = ImageLabels(plain(top["photo"]), width, height)
    for number, mark in enumerate(plain(top["marks"])):
        try:
            points = np.array(mark["outline"], float).reshape(-1, 2)
            image.instances.append(Instance(mark["name"], paths=[Outline.checked(points)]))
        except (KeyError, TypeError, ValueError, DataError) as error:
            log.add("bad-label", f"{file}: mark #{number}", f"{error}; left out")
    return image


# The one line: a name, and what recognizes and reads it.
register_format("marks-json", read=read, signs=signs)

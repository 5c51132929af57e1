"""Labels of any format, looked over and written in another.

python examples/convert.py labels.json coco labels_coco.json
"""

import sys
from collections import Counter

import bdd_inst
from bdd_inst import formats


def main(source: str, to: str, target: str) -> None:
    """Say what is in the labels, write them as ``to``, say what was left out and what the format has no word for."""
    labels = bdd_inst.read_labels(source)
    images, classes = 0, Counter()
    for image in labels.images:  # parsed as they are asked for: any size of file
        images += 1
        classes.update(instance.category for instance in image.instances)
    counts = ", ".join(f"{number} {name}" for name, number in classes.most_common())
    print(f"{source}: {labels.kind}, {images} images, {counts}")
    done = formats.write(labels, target, to=to)
    print(f"{done.path}: {done.images} images, {done.instances} objects")
    for line in (*done.skipped.lines(), *done.lost.lines()):
        print(f"  {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])

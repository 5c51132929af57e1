"""Pascal VOC: masks of objects and classes, the border, annotations and their boxes, lists of names, tools' exports."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.formats.label_map import class_colors, write_label_map
from bdd_inst.masks import run_lengths

XML = """<annotation>
  <folder>VOC2012</folder><filename>{name}.jpg</filename>
  <size><width>12</width><height>8</height><depth>3</depth></size><segmented>1</segmented>
  <object><name>person</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
    <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6</ymax></bndbox></object>
  <object><name>car</name><pose>Unspecified</pose><truncated>0</truncated><difficult>1</difficult>
    <bndbox><xmin>7</xmin><ymin>2</ymin><xmax>10</xmax><ymax>6</ymax></bndbox></object>
</annotation>
"""
PERSON, CAR = 15, 7


def maps():
    """Two objects, 4 x 5 pixels each, with a border around the first."""
    classes, objects = np.zeros((8, 12), np.uint8), np.zeros((8, 12), np.uint8)
    classes[0:7, 0:5] = objects[0:7, 0:5] = 255
    classes[1:6, 0:4], objects[1:6, 0:4] = PERSON, 1
    classes[1:6, 6:10], objects[1:6, 6:10] = CAR, 2
    return classes, objects


@pytest.fixture
def root(tmp_path):
    for folder in (
        "Annotations",
        "SegmentationClass",
        "SegmentationObject",
        "ImageSets/Segmentation",
    ):
        (tmp_path / "VOC" / folder).mkdir(parents=True)
    for name in ("2007_000032", "2007_000033"):
        (tmp_path / f"VOC/Annotations/{name}.xml").write_text(XML.format(name=name))
        for folder, values in zip(("SegmentationClass", "SegmentationObject"), maps(), strict=True):
            write_label_map(tmp_path / "VOC" / folder / f"{name}.png", values)
    (tmp_path / "VOC/Annotations/2007_000039.xml").write_text(XML.format(name="2007_000039"))
    (tmp_path / "VOC/ImageSets/Segmentation/val.txt").write_text("2007_000033\n")
    return tmp_path / "VOC"


def check_masks(image):
    person, car = image.instances
    assert (person.category, car.category) == ("person", "car")
    assert np.argwhere(run_lengths.decode(person.rle)).min(0).tolist() == [1, 0]
    assert run_lengths.area(person.rle) == run_lengths.area(car.rle) == 20  # without the border
    return person, car


def test_masks_classes_and_annotations_are_one(root):
    labels = formats.read(root).load()
    assert labels.kind == "voc"
    assert labels.categories[:2] == ("aeroplane", "bicycle")
    # The third image has no masks.
    assert [image.name for image in labels.images] == ["2007_000032.jpg", "2007_000033.jpg"]
    person, car = check_masks(labels.images[0])
    assert person.box == (0, 1, 4, 6)
    assert (person.truncated, person.ignored, car.ignored) == (True, False, True)
    assert person.attributes == {"pose": "Left"}
    assert not labels.problems
    assert "border" in labels.notes[0]


def test_a_list_of_names_is_a_split(root):
    labels = formats.read(root / "ImageSets/Segmentation/val.txt").load()
    assert [image.name for image in labels.images] == ["2007_000033.jpg"]
    check_masks(labels.images[0])


def test_annotations_alone_are_boxes(root):
    for path in (root / "Annotations", root / "Annotations/2007_000039.xml"):
        assert formats.detect(path) == "voc"
    labels = formats.read(root / "Annotations").load()
    assert len(labels.images) == 3
    assert labels.images[0].instances[1].box == (6, 1, 10, 6)
    assert (labels.images[0].height, labels.images[0].width) == (8, 12)


def test_colors_of_an_exports_table(root):
    """CVAT and Datumaro write RGB masks, and the colors of the classes in labelmap.txt."""
    table = {"background": (0, 0, 0), "tree": (1, 2, 3), "person": (9, 8, 7), "car": (200, 100, 0)}
    lines = "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in table.items())
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + lines)
    classes, objects = maps()
    rgb = np.zeros((*classes.shape, 3), np.uint8)
    rgb[classes == PERSON], rgb[classes == CAR] = table["person"], table["car"]
    Image.fromarray(rgb).save(root / "SegmentationClass/2007_000032.png")
    Image.fromarray(class_colors()[objects]).save(root / "SegmentationObject/2007_000032.png")
    labels = formats.read(root).load()
    assert labels.categories == ("tree", "person", "car")
    check_masks(labels.images[0])


def test_outlines_that_tools_add(tmp_path):
    polygon = "<polygon><x1>1</x1><y1>2</y1><x2>9</x2><y2>2</y2><x3>9</x3><y3>7</y3></polygon>"
    text = XML.format(name="a").replace("</bndbox>", f"</bndbox>{polygon}", 1)
    (tmp_path / "a.xml").write_text(text)
    (image,) = formats.read(tmp_path).load().images
    assert image.instances[0].paths[0].vertices.tolist() == [[1, 2], [9, 2], [9, 7]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<name>person</name>", "", "no category"),
        ("<xmax>4</xmax>", "<xmax>0</xmax>", "no area"),
        ("<xmax>4</xmax>", "<xmax>wide</xmax>", "not a number"),
        ("<ymin>2</ymin>", "", "not a number"),
    ],
)
def test_a_bad_object_costs_itself(old, new, message, tmp_path):
    (tmp_path / "a.xml").write_text(XML.format(name="a").replace(old, new, 1))
    labels = formats.read(tmp_path / "a.xml").load()
    assert [i.category for i in labels.images[0].instances] == ["car"]
    assert labels.problems.counts == {"bad-label": 1}
    assert message in labels.problems.lines()[0]


def test_broken_files_are_counted(root):
    (root / "Annotations/2007_000032.xml").write_text("<annotation><object>")
    labels = formats.read(root).load()
    assert len(labels.images) == 1
    assert labels.problems.counts == {"unreadable-file": 1}
    write_label_map(root / "SegmentationObject/2007_000033.png", np.ones((4, 4), np.uint8))
    labels = formats.read(root).load()
    assert (labels.images, labels.problems.counts) == ([], {"unreadable-file": 2})
    assert any("another size" in p.message for p in labels.problems.examples["unreadable-file"])

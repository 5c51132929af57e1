"""CVAT's XML: shapes of images, tracks of videos, what is refused, and what comes back from what we write."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.formats.cvat_shapes import instance_of, runs_of
from bdd_inst.formats.xml_files import Element
from bdd_inst.masks import run_lengths
from tests.formats import examples

IMAGES = """<?xml version="1.0" encoding="utf-8"?>
<!-- made by hand -->
<annotations>
  <version>1.1</version>
  <meta><task><id>1</id><name>street</name><size>2</size><mode>annotation</mode><labels>
    <label><name>person</name><color>#80ff00</color><type>any</type><attributes/></label>
    <label><name>car</name><color>#ff0000</color><type>any</type><attributes/></label>
    <label><name>lane</name><color>#0000ff</color><type>polyline</type><attributes/></label>
  </labels></task></meta>
  <image id="7" name="x/a.jpg" width="80" height="60">
    <polygon label="person" source="manual" occluded="1" points="10.50,10.00;30.00,12.00;28.00,30.00" z_order="2" group_id="4">
      <attribute name="pose">sitting</attribute><attribute name="truncated">true</attribute>
    </polygon>
    <box label="car" source="manual" occluded="0" xtl="8.00" ytl="6.00" xbr="24.00" ybr="24.00" z_order="0"/>
    <box label="car" occluded="0" xtl="40" ytl="30" xbr="60" ybr="40" rotation="90.0"/>
    <mask label="person" occluded="0" rle="0, 5, 3, 4" left="40" top="20" width="4" height="3" z_order="0"/>
    <ellipse label="car" occluded="0" cx="40" cy="30" rx="8" ry="6"/>
    <polyline label="lane" occluded="0" points="1,1;5,5;9,9"/>
    <points label="car" occluded="0" points="1,1"/>
    <tag label="rain" source="manual"/>
  </image>
  <image id="8" name="b.jpg" width="80" height="60"></image>
</annotations>
"""

VIDEO = """<annotations>
  <version>1.1</version>
  <meta><task><name>drive</name><size>6</size><mode>interpolation</mode>
    <labels><label><name>car</name></label></labels>
    <original_size><width>80</width><height>60</height></original_size></task></meta>
  <track id="3" label="car" source="manual">
    <box frame="0" keyframe="1" outside="0" occluded="0" xtl="0" ytl="0" xbr="10" ybr="10"/>
    <box frame="2" keyframe="1" outside="0" occluded="1" xtl="20" ytl="0" xbr="30" ybr="10"/>
    <box frame="4" keyframe="1" outside="1" occluded="0" xtl="20" ytl="0" xbr="30" ybr="10"/>
  </track>
  <track id="4" label="car">
    <polygon frame="1" keyframe="1" outside="0" occluded="0" points="1,1;9,1;9,9"/>
    <polygon frame="2" keyframe="1" outside="1" occluded="0" points="1,1;9,1;9,9"/>
  </track>
</annotations>
"""


def read(tmp_path, text, name="annotations.xml"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return formats.read(tmp_path / name).load()


def test_shapes_of_images(tmp_path):
    labels = read(tmp_path, IMAGES)
    assert (labels.kind, labels.categories) == ("cvat", ("person", "car"))
    first, second = labels.images
    assert (first.name, first.width, first.height, first.image_id) == ("x/a.jpg", 80, 60, None)
    assert first.attributes == {"rain": True}
    person, car, turned, masked, wheel = first.instances
    assert person.paths[0].vertices.tolist() == [[10.5, 10], [30, 12], [28, 30]]
    assert (person.occluded, person.truncated) == (True, True)
    assert person.attributes == {"pose": "sitting", "z_order": 2, "group_id": "4"}
    assert car.box == (8, 6, 24, 24)
    # 20 x 10 about its center, 50, 35, is 10 x 20 there.
    assert np.allclose(turned.paths[0].bounds, (45, 25, 55, 45))
    mask = run_lengths.decode(masked.rle)[20:23, 40:44]
    assert mask.astype(int).tolist() == [[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 1]]
    assert np.allclose(wheel.paths[0].bounds, (32, 24, 48, 36))
    assert (second.labeled, second.instances) == (True, [])
    assert labels.problems.counts == {"bad-label": 2}
    assert "a polyline encloses nothing" in labels.problems.lines()[0]


def test_tracks_of_a_video(tmp_path):
    labels = read(tmp_path, VIDEO)
    assert [image.name for image in labels.images] == [f"frame_{n:06d}.jpg" for n in range(6)]
    boxes = [[i.box for i in image.instances if i.id == "3"] for image in labels.images]
    still = [(20, 0, 30, 10)]
    assert boxes == [[(0, 0, 10, 10)], [(10, 0, 20, 10)], still, still, [], []]
    assert [len(image.instances) for image in labels.images] == [1, 2, 1, 1, 0, 0]
    first = labels.images[0]
    assert (first.video, first.frame_index, first.height, first.width) == ("drive", 0, 60, 80)


def test_a_gap_that_would_fill_the_memory_is_counted(tmp_path):
    labels = read(
        tmp_path, VIDEO.replace('frame="2" keyframe="1" outside="0"', 'frame="900000" outside="0"')
    )
    assert sum(len(image.instances) for image in labels.images) == 3
    assert labels.problems.counts == {"bad-label": 1}


def test_an_exports_folder_and_other_encodings(tmp_path):
    (tmp_path / "job").mkdir()
    read(tmp_path / "job", IMAGES)
    assert formats.detect(tmp_path / "job") == formats.detect(tmp_path) == "cvat"
    labels = read(tmp_path, IMAGES.replace("utf-8", "utf-16").encode("utf-16"), "other.xml")
    assert len(labels.images) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "document type"),
        ('<!DOCTYPE a SYSTEM "http://localhost/a.dtd"><annotations/>', "document type"),
        ("<annotations>" + "<a>" * 300_000, "nested too deeply"),
        ("<annotations><image name='a", "broken XML"),
        ("<annotations>&b;</annotations>", "broken XML"),
        ("<annotations><meta><task><size>999999999</size></task></meta><track/></annotations>", "999999999 frames"),
        ("<annotations/>", "no image"),
    ],
)  # fmt: skip
def test_hostile_files_are_one_line(text, message, tmp_path):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match=message) as error:
        formats.write(formats.read(tmp_path / "a.xml"), tmp_path / "out.json", to="coco")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<mask label="a" rle="1, 99" left="0" top="0" width="4" height="3"/>', "cover 100 pixels of 12"),
        ('<mask label="a" rle="12" left="78" top="0" width="4" height="3"/>', "leaves its image"),
        ('<mask label="a" rle="-1, 13" left="0" top="0" width="4" height="3"/>', "whole numbers"),
        ('<polygon label="a" points="1,2;3"/>', "pairs of numbers"),
        ('<polygon label="a" points="1,2;nan,4;5,6"/>', "in no image"),
        ('<box label="a" xtl="1" ytl="1" xbr="1" ybr="9"/>', "no area"),
        ('<box label="a" xtl="1" ytl="1" xbr="b" ybr="9"/>', "not a number"),
        ('<box label=" " xtl="1" ytl="1" xbr="3" ybr="9"/>', "no category"),
    ],
)  # fmt: skip
def test_a_bad_shape_costs_itself(shape, message, tmp_path):
    labels = read(tmp_path, IMAGES.replace('<tag label="rain" source="manual"/>', shape))
    assert len(labels.images[0].instances) == 5
    assert labels.problems.counts == {"bad-label": 3}
    assert message in " ".join(p.message for p in labels.problems.examples["bad-label"])


def test_what_is_written_is_read_again(tmp_path):
    source = read(tmp_path, IMAGES)
    done = formats.write(source, tmp_path / "out.xml", to="cvat")
    assert set(done.lost.counts) == {"lost-image-attributes"}
    again = formats.read(tmp_path / "out.xml").load()
    assert again.categories == source.categories
    for one, two in zip(source.images, again.images, strict=True):
        assert (one.name, one.width, one.height) == (two.name, two.width, two.height)
        for first, second in zip(one.instances, two.instances, strict=True):
            assert first == second


def test_words_that_xml_knows_come_back(tmp_path):
    value = examples.coco()
    value["categories"][0]["name"] = 'a<b&"c>'
    formats.write(
        formats.read(examples.write(tmp_path, "coco", value)), tmp_path / "o.xml", to="cvat"
    )
    again = formats.read(tmp_path / "o.xml").load()
    assert 'a<b&"c>' in again.categories
    assert 'a<b&"c>' in {i.category for image in again.images for i in image.instances}


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_mask_comes_back(height, width, data):
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    rle = run_lengths.encode(np.array(bits).reshape(height, width))
    runs = runs_of(rle)
    assert (runs is None) == (not any(bits))
    if runs is not None:
        place = dict(zip(("left", "top", "width", "height"), map(str, runs[1]), strict=True))
        shape = Element("mask", {"label": "a", "rle": ", ".join(map(str, runs[0])), **place})
        assert instance_of(shape, width, height).rle == rle

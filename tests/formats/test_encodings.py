"""Texts of other encodings: read where they can be nothing else, refused where they can, never turned into other words."""

from __future__ import annotations

import json
import logging
import os

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.formats.encodings import chinese_words
from bdd_inst.formats.json_files import repaired
from bdd_inst.images.finder import ImageFinder
from tests.formats import examples

TREE = '{"images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}], "annotations": [], "categories": [%s]}'


def labels(path, encoding, *words):
    names = ", ".join(f'{{"id": {n}, "name": "{word}"}}' for n, word in enumerate(words, 1))
    path.write_bytes((TREE % names).encode(encoding))
    return formats.read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gbk"])
def test_words_are_the_same_in_every_encoding(encoding, tmp_path):
    assert labels(tmp_path / "gt.json", encoding, "行人", "自行车").categories == ("行人", "自行车")


def test_gbk_is_said_once_with_its_words(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            labels(tmp_path / "gt.json", "gbk", "行人", "自行车")
    assert [r.message for r in caplog.records] == [
        f"{tmp_path / 'gt.json'}: read as GBK, not UTF-8: 行人, 自行车; save it as UTF-8"
    ]


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("latin-1", "Müller"),
        ("latin-1", "MAÑANA ÉÉ"),
        ("cp1251", "машина"),
        ("euc-kr", "자동차"),
        ("shift-jis", "自動車"),
        ("big5", "汽車 行人"),
        ("gbk", "人"),  # in Korean's encoding a syllable
        ("gbk", "車輛"),  # not of the common characters
    ],
)
def test_what_could_be_another_encoding_is_refused(encoding, word, tmp_path):
    assert not chinese_words(word.encode(encoding))
    with pytest.raises(DataError, match=r"gt\.json: not UTF-8 text .*save it as UTF-8"):
        labels(tmp_path / "gt.json", encoding, word)


def test_yolo_text_may_have_a_mark_or_be_gbk(tmp_path):
    from PIL import Image

    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (20, 20)).save(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "labels/a.txt").write_bytes(b"\xef\xbb\xbf1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "labels/b.txt").write_bytes(b"")
    (tmp_path / "data.yaml").write_bytes("names: [行人, 自行车]".encode("gbk"))
    read = formats.read(tmp_path).load()
    assert [[i.category for i in p.instances] for p in read.images] == [["自行车"], []]
    assert not read.problems.counts


def test_halves_of_characters_that_json_wrote_are_read(tmp_path):
    """Python's json writes a name that is no UTF-8 so; JSON's readers refuse the whole file."""
    names = ["\udcff.png", "a\ud800b", "\ud83d\ude00", "\\ud800", "\\\ud800", "\ud800\ud800"]
    found = [json.loads(repaired(json.dumps([name]).encode())) for name in names]
    assert found == [
        ["\ufffd.png"],
        ["a\ufffdb"],
        ["😀"],
        ["\\ud800"],
        ["\\\ufffd"],
        ["\ufffd\ufffd"],
    ]
    tree = examples.coco()
    tree["images"][0]["file_name"] = "\udcff.png"
    (tmp_path / "a.json").write_text(json.dumps(tree))
    assert next(iter(formats.read(tmp_path / "a.json").images)).name == "\ufffd.png"


def test_a_file_whose_name_is_no_utf8_is_found_by_what_a_label_file_can_say(tmp_path):
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/img")
        path = os.fsencode(tmp_path) + b"/img/\xff.png"
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(os.fsdecode(path))
    except (OSError, UnicodeError):
        pytest.skip("this system's names are text")
    finder = ImageFinder(tmp_path / "img")
    for name in ("\udcff.png", "\ufffd.png", "%ff.png"):
        assert os.fsencode(finder.find(name)) == path
    labels = formats.read(tmp_path / "img", kind="binary-masks").load()
    assert [image.name for image in labels.images] == ["\ufffd.jpg"]
    assert finder.find(labels.images[0]) is not None

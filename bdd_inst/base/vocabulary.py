"""Class names in contract order, their other spellings, and which class a word stands for.

Source of the BDD100K order and mappings: the official toolkit's ``ins_seg.toml`` and ``det.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BDD100K_INS_SEG = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
BDD100K_DET = (*BDD100K_INS_SEG, "traffic light", "traffic sign")
# Cityscapes' 19 classes in the order of their train ids; 255 is ignored.
BDD100K_SEM_SEG = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person",
    "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
FASHION_PERSON = ("person",)
FASHION_CLOTHES = ("skin", "hair", "t-shirt", "shoes", "pants", "dress")
# What the fashion set labels each in a mask of its own.
FASHION_TARGETS = {"person": FASHION_PERSON, "clothes": FASHION_CLOTHES}
COCO_PERSON = ("person",)

# Spellings met in real label files -> the contract name.
BDD100K_ALIASES = {
    "person": "pedestrian",
    "bike": "bicycle",
    "motor": "motorcycle",
    "motorbike": "motorcycle",
    "van": "car",
    "caravan": "car",
}

# Categories that the official evaluation ignores -> the class whose predictions they excuse.
BDD100K_IGNORED = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}

# Words that tell BDD100K's label files from those of other data sets, which have cars and persons too.
BDD100K_ONLY = {
    "pedestrian",
    "rider",
    "bike",
    "motor",
    "traffic sign",
    "drivable area",
    "lane",
    *BDD100K_IGNORED,
}

# BDD100K's panoptic classes by number from 1 (``pan_seg.toml``): 1 to 30 stuff, 31 to 40 things.
BDD100K_PAN_SEG = (
    "dynamic", "ego vehicle", "ground", "static", "parking", "rail track", "road", "sidewalk", "bridge", "building", "fence",
    "garage", "guard rail", "tunnel", "wall", "banner", "billboard", "lane divider", "parking sign", "pole", "polegroup",
    "street light", "traffic cone", "traffic device", "traffic light", "traffic sign", "traffic sign frame", "terrain",
    "vegetation", "sky", "person", "rider", "bicycle", "bus", "car", "caravan", "motorcycle", "trailer", "train", "truck",
)  # fmt: skip

BDD100K_PAN_STUFF, BDD100K_PAN_THINGS = BDD100K_PAN_SEG[:30], BDD100K_PAN_SEG[30:]
# Words of instance segmentation labels -> the panoptic class.
BDD100K_PAN_ALIASES = {
    "pedestrian": "person",
    "bike": "bicycle",
    "motor": "motorcycle",
    "motorbike": "motorcycle",
    "van": "car",
}

# Cityscapes' classes by label id from 0 (``labels.py``); those from 24 on are things, numbered in ``instanceIds``.
CITYSCAPES = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road", "sidewalk",
    "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup",
    "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "caravan",
    "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip
CITYSCAPES_THINGS = CITYSCAPES[24:]
# Parts of the image that are no object of any class.
CITYSCAPES_NOTHING = CITYSCAPES[:4]

# COCO's 80 classes by category id (instances_*2017.json); its numbers have gaps.
COCO_INSTANCES = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck", 9: "boat",
    10: "traffic light", 11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench", 16: "bird", 17: "cat", 18: "dog",
    19: "horse", 20: "sheep", 21: "cow", 22: "elephant", 23: "bear", 24: "zebra", 25: "giraffe", 27: "backpack", 28: "umbrella",
    31: "handbag", 32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis", 36: "snowboard", 37: "sports ball", 38: "kite",
    39: "baseball bat", 40: "baseball glove", 41: "skateboard", 42: "surfboard", 43: "tennis racket", 44: "bottle", 46: "wine glass",
    47: "cup", 48: "fork", 49: "knife", 50: "spoon", 51: "bowl", 52: "banana", 53: "apple", 54: "sandwich", 55: "orange",
    56: "broccoli", 57: "carrot", 58: "hot dog", 59: "pizza", 60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant",
    65: "bed", 67: "dining table", 70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard", 77: "cell phone",
    78: "microwave", 79: "oven", 80: "toaster", 81: "sink", 82: "refrigerator", 84: "book", 85: "clock", 86: "vase", 87: "scissors",
    88: "teddy bear", 89: "hair drier", 90: "toothbrush",
}  # fmt: skip

# COCO's 53 stuff classes by category id (panoptic_*2017.json), which calls some of them "-merged" or "-other".
COCO_STUFF = {
    92: "banner", 93: "blanket", 95: "bridge", 100: "cardboard", 107: "counter", 109: "curtain", 112: "door-stuff", 118: "floor-wood",
    119: "flower", 122: "fruit", 125: "gravel", 128: "house", 130: "light", 133: "mirror-stuff", 138: "net", 141: "pillow",
    144: "platform", 145: "playingfield", 147: "railroad", 148: "river", 149: "road", 151: "roof", 154: "sand", 155: "sea", 156: "shelf",
    159: "snow", 161: "stairs", 166: "tent", 168: "towel", 171: "wall-brick", 175: "wall-stone", 176: "wall-tile", 177: "wall-wood",
    178: "water", 180: "window-blind", 181: "window", 184: "tree", 185: "fence", 186: "ceiling", 187: "sky", 188: "cabinet",
    189: "table", 190: "floor", 191: "pavement", 192: "mountain", 193: "grass", 194: "dirt", 195: "paper", 196: "food",
    197: "building", 198: "rock", 199: "wall", 200: "rug",
}  # fmt: skip
# What a pixel-wise head calls every pixel of an object, its class 0.
THINGS = "things"


@dataclass(frozen=True)
class ClassVocabulary:
    """Class names in contract order and the other words for them.

    ``aliases``: spelling -> name. ``ignored``: category -> the class whose detections it excuses. ``known``: words that are expected in the
    files but are no class of this data set (lanes among the objects, say), left out without being called unknown.
    """

    names: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    def resolve(self, word: str) -> tuple[int, bool] | None:
        """Class index and whether the word stands for an ignored region; None for a word that is no class here."""
        for spelling in (word, word.lower()):
            name = self.ignored.get(spelling)
            if name is not None:
                return self.names.index(name), True
            name = self.aliases.get(spelling, spelling)
            if name in self.names:
                return self.names.index(name), False
        return None

    def is_known(self, word: str) -> bool:
        """True for a word that is rightly in the file but no class of this data set."""
        word = word.lower()
        return word in self.known or word.startswith(("area/", "lane/", "drivable", "lane"))


BDD100K = ClassVocabulary(BDD100K_DET, BDD100K_ALIASES, BDD100K_IGNORED)
BDD100K_PAN = ClassVocabulary(BDD100K_PAN_SEG, BDD100K_PAN_ALIASES)


def bdd_word(word: str) -> tuple[str, bool] | None:
    """The BDD100K class that a word means in any capitals, and whether it is one of the ignored categories; None for other words.

    Args:
        word: a category as a label file writes it.

    Returns:
        ``(class, ignored)``: a name of BDD100K_DET, and whether the word is an ignored category that excuses its detections; else None.
    """
    found = BDD100K.resolve(word)
    return None if found is None else (BDD100K.names[found[0]], found[1])

"""Every code under which something found wrong, skipped or lost is counted: how severe it is, what it says, what to do."""

from __future__ import annotations

from typing import NamedTuple

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (
    ERROR,
    WARNING,
    NOTE,
)  # errors fail a check; warnings cost accuracy; notes are for knowing


class ProblemCode(NamedTuple):
    """One row of the table: ``severity`` (ERROR, WARNING or NOTE), what the code says, and what a user does about it."""

    severity: str
    description: str
    advice: str


# One problem, one code, whoever finds it: readers, loaders, checks, evaluation, drawing and writers all count under these.
# fmt: off
PROBLEMS: dict[str, ProblemCode] = {code: ProblemCode(*row) for code, row in {
    # Files and records
    "unreadable-file": (ERROR, "a label or mask file cannot be read", "fetch the file again"),
    "other-kind": (WARNING, "a label file of another format than the folder's others", "keep label files of one kind in a folder"),
    "bad-record": (ERROR, "an image's record is not what the format says", "mend or remove the record; it needs at least a name or an id"),
    "bad-labels": (ERROR, "the labels of an image are no list", "write a list, or null where nobody has looked"),
    "bad-label": (ERROR, "a label is not what the format says", "mend or remove the label"),
    "no-file-name": (WARNING, "an image's record has no file name", "give the record the name of its image"),
    "number-as-text": (WARNING, "a number is written as text", "write numbers as numbers: most tools refuse text there"),
    # Images
    "missing-image": (ERROR, "labels or a mask whose image is not there", "fetch the images again, or remove their labels"),
    "ambiguous-image": (ERROR, "several image files have the name of a label record", "name the split's own folder with --images"),
    "unreadable-image": (ERROR, "an image file cannot be decoded", "fetch the image again"),
    "truncated-image": (ERROR, "an image file breaks off", "fetch the image again: its end is missing"),
    "wrong-size-image": (ERROR, "labels or mask are for an image of another size", "find the right image, or resize one of the two"),
    "rotated-image": (WARNING, "an Exif tag turns the image", "every tool takes it as it is shown: were its labels drawn so?"),
    "high-bit-depth": (NOTE, "an image of more than 8 bits a channel", "its values are scaled to 0..255; save it with 8 to choose how"),
    "image-without-labels": (WARNING, "an image that no label names", "label it, or leave it out of the folder"),
    "missing-sample": (NOTE, "a numbered sample of which neither image nor mask is there", "this machine has part of the set; the rest is not used"),
    "unlabelled-image": (NOTE, "nobody has looked at the image (labels: null or missing)", "label it, or train without it"),
    "empty-image": (NOTE, "labeled, and nothing is there", "DATALOADER.FILTER_EMPTY_ANNOTATIONS decides on such images"),
    "no-usable-object": (NOTE, "nothing of the wanted classes is on the image", "nothing; training may pass over it"),
    "no-image-size": (WARNING, "labels do not say the image's size, and no image file is at hand", "give the folder of images with --images"),
    "bad-image-size": (ERROR, "a size that no image has", "write the image's width and height, or give --images"),
    "size-assumed": (NOTE, "no size in the labels; BDD100K's is taken", "give the folder of images with --images where that is wrong"),
    "duplicate-image": (ERROR, "an image is labeled, or would be written, twice", "label every image once; the first is kept"),
    "duplicate-image-id": (ERROR, "two images have one id", "give every image its own id"),
    "unknown-image": (ERROR, "a label of an image that the file does not list", "list the image, or remove the label"),
    "duplicate-content": (WARNING, "the same image under two names", "keep one"),
    "leak-name": (ERROR, "the same name in two splits", "take it out of one"),
    "leak-content": (ERROR, "the same image in two splits", "take it out of one"),
    "leak-near": (WARNING, "nearly the same image in two splits", "look at both"),
    "leak-video": (WARNING, "frames of one video in two splits", "split by video"),
    # Classes
    "unknown-category": (WARNING, "a class that the data set does not have", "add the category, or an alias for it"),
    "category-left-out": (NOTE, "a class that was not asked for, or that the target has no number for", "nothing, where that was meant"),
    "category-absent": (NOTE, "no object of a class that was asked for", "nothing, where another split has some"),
    "annotation-canceled": (NOTE, "an annotation that was canceled or has no result", "nothing; it is left out"),
    "several-annotations": (NOTE, "an image that was annotated, or predicted, more than once", "keep the one that is meant to count"),
    "no-class": (WARNING, "an object without a class", "give the object its class"),
    "several-classes": (WARNING, "an object with more than one class", "an object has one class: label it once for each"),
    "unused-category": (NOTE, "a category that no object has, of another one's name", "remove the category from the list"),
    "category-order": (WARNING, "BDD100K's classes in another order", "compare ids by name; files of this order give other class numbers"),
    "category-spelling": (WARNING, "one category in several spellings", "write one category in one way"),
    "category-ids-differ": (ERROR, "one class has different ids in two splits", "give a class the same id in every split"),
    "duplicate-category": (ERROR, "two categories of one name", "give every category one name and one id"),
    # Objects
    "duplicate-id": (ERROR, "two annotations have one id", "give every annotation its own id"),
    "zero-id": (ERROR, "an annotation has the id 0", "start at 1: pycocotools takes a match with id 0 for no match"),
    "duplicate-instance": (WARNING, "two objects of the same class, box and mask", "remove one of the two"),
    "odd-crowd-flag": (WARNING, "iscrowd is neither 0 nor 1", "write 1 for a crowd, which trains nothing and is scored apart"),
    "odd-area": (WARNING, "an area that cannot be the object's", "take the area from the mask; COCO's size ranges go by it"),
    "no-shape": (WARNING, "an object with neither box, outline nor mask", "draw it, or remove the label: it teaches nothing"),
    "no-mask": (WARNING, "an object without a mask", "give it one: instance segmentation leaves it out"),
    "no-box": (WARNING, "an object without a box", "give it one: detection leaves it out"),
    "empty-object": (ERROR, "an object that covers no pixel of the image", "remove the label"),
    "speck": (NOTE, "a part too small to be an object", "nothing; it is left out"),
    # Boxes
    "bad-box": (ERROR, "a box that is not four finite numbers with an area", "write the box again"),
    "empty-box": (WARNING, "a box without area", "remove it: it trains nothing, matches nothing, and as a prediction counts as false"),
    "box-mode": (WARNING, "boxes that leave their images as XYWH_ABS and would fit as corners", "set bbox_mode to what the numbers are"),
    "box-outside": (WARNING, "a box reaches beyond the image", "cut the box at the image's edge"),
    "box-mask-disagree": (WARNING, "box and mask are of different places", "take the box from the mask"),
    # Outlines and masks
    "bad-polygon": (ERROR, "an outline that cannot be drawn", "an outline needs three points or more, all finite numbers"),
    "bad-rle": (ERROR, "run lengths that are damaged", "runs must add up to the image's pixels; write the mask again"),
    "bad-segmentation": (ERROR, "a segmentation that is neither polygons nor RLE", "write the mask as polygons or RLE"),
    "wrong-size-mask": (ERROR, "a mask of another size than its image", "draw the mask at the image's size"),
    "scaled-mask": (WARNING, "a mask of the image's proportions but another size, scaled to it", "write the mask again, at the image's size"),
    "self-crossing": (WARNING, "an outline crosses itself", "redraw the outline, or fill it by the non-zero rule"),
    "outside-image": (WARNING, "a shape reaches beyond the image", "cut the shape at the image's edge"),
    "normalised-coordinates": (ERROR, "coordinates from 0 to 1 where pixels are expected", "write pixels: x times the image's width, y times its height"),
    "no-area": (ERROR, "an outline encloses nothing", "remove the outline"),
    "wrong-mask-kind": (ERROR, "a color image where class numbers are expected", "save the mask as a palette or gray PNG of class numbers"),
    "shared-number": (WARNING, "two instances of a bitmask have one number", "give every instance of a bitmask its own number"),
    "missing-bitmask": (ERROR, "labels whose bitmask is not there", "fetch the bitmasks again, or remove the labels"),
    "mask-mismatch": (ERROR, "labels and bitmask do not belong together", "take both of one release, in one order"),
    "mask-without-label": (WARNING, "an instance of a bitmask that no label names", "take labels and bitmasks of one release"),
    "mask-and-outline": (NOTE, "an object carries a mask and an outline: the mask is scored", "DATASETS.SOURCE rles trains on the mask too"),
    # Predictions
    "no-scores": (WARNING, "predicted bitmasks without scores: each counts with 1", "name a file of scores with --scores"),
    "id-or-name": (WARNING, "an image id that is one image's id and another's file name", "write the ground truth's image ids into the results"),
    "matched-by-name": (WARNING, "image ids are not the ground truth's; images were matched by name", "write the ground truth's image ids"),
    "repeated-entry": (WARNING, "a prediction wholly repeats another one", "write each once: repetitions count as false (were two files joined?)"),
    "prediction-without-mask": (WARNING, "a prediction has a box but no mask, though others have one", "write its mask: mask scores leave it out"),
    "masks-not-scored": (WARNING, "masks that cannot be scored: boxes are scored alone", "write the masks again, or give a ground truth with masks"),
    "prediction-without-label": (NOTE, "predictions on an image that is not among the labels", "nothing; they are not drawn"),
    "image-without-prediction": (WARNING, "a label map without prediction", "predict it: every pixel counts as background"),
    "not-drawn": (ERROR, "an image could not be drawn on", "fetch the image again, or mend its labels"),
    # Videos and streams
    "unreadable-video": (ERROR, "a video cannot be opened", "fetch the video again"),
    "video-breaks-off": (ERROR, "a video ends before it should", "fetch the video again; what was read is kept"),
    "stream-broke-off": (WARNING, "a stream broke off and was opened anew", "look at the network or the camera"),
    "stream-ended": (WARNING, "a stream ended or could not be opened again", "look at the network or the camera; what was read is kept"),
    "frames-passed-over": (NOTE, "frames that came while the model was busy", "nothing, or a smaller model; a recorded video loses none"),
    "size-changed": (NOTE, "a frame of another size than the first", "nothing; it is fitted into the video's size"),
    # What a target format cannot say
    "crowd-left-out": (NOTE, "the target format has no crowds and no ignored regions", "choose another format to keep them"),
    "joined-parts": (NOTE, "the target format has one outline an object: its parts were joined by lines", "choose another format to keep them apart"),
    "hidden-objects": (NOTE, "an object has no pixel left under others", "choose a format in which objects may overlap"),
    "lost-areas": (NOTE, "the target format has no field for COCO's area", "choose coco to keep it"),
    "lost-attributes": (NOTE, "the target format has no attributes of objects", "choose coco or scalabel to keep them"),
    "lost-classes": (NOTE, "the target format has one foreground for all classes", "choose label-map to keep them"),
    "lost-curves": (NOTE, "Bezier curves became straight pieces", "choose scalabel to keep them"),
    "lost-ids": (NOTE, "the target format has no place for object ids", "choose coco or scalabel to keep them"),
    "lost-image-attributes": (NOTE, "the target format has no place for image attributes", "choose coco or scalabel to keep them"),
    "lost-image-ids": (NOTE, "the target format has names, no image ids", "choose coco or dicts to keep them"),
    "lost-instances": (NOTE, "objects became one foreground", "choose bitmask to keep them apart"),
    "lost-lines": (NOTE, "the target format has no open lines", "choose scalabel to keep them"),
    "lost-outlines": (NOTE, "outlines became masks of whole pixels", "choose scalabel to keep them"),
    "lost-overlaps": (NOTE, "pixels of several objects were left to one", "choose a format in which objects may overlap"),
    "lost-scores": (NOTE, "the target format has no scores", "choose coco or scalabel to keep them"),
}.items()}
# fmt: on


def problem(code: str) -> ProblemCode:
    """The row of a code; one that a user's own module counts under is an error without advice.

    Args:
        code: of PROBLEMS, or a user's own.

    Returns:
        Its severity, sentence and advice.
    """
    return PROBLEMS.get(code) or ProblemCode(ERROR, "", "")

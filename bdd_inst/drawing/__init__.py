"""Objects drawn on pictures: fills, outlines, boxes and words, for any source of masks."""

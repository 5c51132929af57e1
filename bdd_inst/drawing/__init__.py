"""Objects drawn on images: fills, outlines, boxes and words, for any source of masks."""

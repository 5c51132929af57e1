"""Heads: what reads the feature maps - proposals, boxes, masks, pixel classes."""

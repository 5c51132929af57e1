"""Backbones: from a batch of pictures to feature maps at several strides."""

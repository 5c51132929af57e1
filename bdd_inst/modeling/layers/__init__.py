"""Building blocks of models: layers, norms, anchors, matching, RoIAlign."""

"""Models of our own: layers, backbones, heads, and the meta-architectures that put them together."""

"""Models of our own: layers, backbones, heads, and the meta-architectures that put them together."""

import warnings

# fvcore compiles its focal loss when it is imported, in a way that newer torch calls deprecated: nothing its users can act on.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    import fvcore.nn  # noqa: F401

"""A small driving data set, rendered: street scenes in BDD100K's own tree and JSON, for demos and tests that need no download."""

from bdd_inst.synthetic.render import FOLDER, render

__all__ = ["FOLDER", "render"]

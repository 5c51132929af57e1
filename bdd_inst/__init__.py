"""Instance segmentation that speaks Detectron2 and installs with pip."""

__version__ = "0.1.0"

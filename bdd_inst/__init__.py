"""Instance segmentation that speaks Detectron2 and installs with pip."""

import os

__version__ = "0.1.0"

# Feature maps are tens of megabytes, and Linux hands out fresh memory page by page: in pages of 2 MB a map of 66 MB costs 5 ms
# instead of 25. torch reads this at its first allocation; set it to 0 beforehand to keep small pages.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

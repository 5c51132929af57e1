"""Weight files: found, read without running anything, renamed to Detectron2's names, loaded with a report."""

"""Image and video files: found, measured, read upright, written."""

"""Data sets by name: a table of loaders, and what is known of each (class names, files, protocol)."""

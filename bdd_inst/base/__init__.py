"""What every room may use: errors and problem codes, files, the vocabulary of classes, processes and threads."""

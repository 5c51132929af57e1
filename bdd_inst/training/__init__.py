"""Training: stages one after the other on any number of processes, with checkpoints that survive whatever happens."""

"""What chooses a run's settings: batch size, learning rate, sweeps over values."""

"""What may watch a run or act on it between steps: logs, evaluation, checkpoints, averages, guards."""

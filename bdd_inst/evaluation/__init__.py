"""Scores of boxes, masks and label maps by a named protocol, and the reasons behind them."""

"""Learns to tell a face mask worn right from one worn wrong and from none, and hands over a model to use."""

__version__ = "0.1.0"

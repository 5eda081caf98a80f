"""How a network is applied to images and volumes."""

from rockmonai.inferers.sliding_window import SlidingWindow

__all__ = ["SlidingWindow"]

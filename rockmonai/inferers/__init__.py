"""How a network is applied to images and volumes."""

from rockmonai.inferers.precision import PrecisionInferer

__all__ = ["PrecisionInferer"]

"""Models: layers that know their whole graph and can be trained."""

from fastnn.models.model import Model
from fastnn.models.sequential import Sequential

__all__ = ["Model", "Sequential"]

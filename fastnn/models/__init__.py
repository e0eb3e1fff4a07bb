"""Models: layers that know their whole graph and can be trained."""

from fastnn.models.model import Model
from fastnn.models.sequential import Sequential
from fastnn.saving import load_model, save_model

__all__ = ["Model", "Sequential", "load_model", "save_model"]

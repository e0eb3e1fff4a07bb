"""Exported networks, compiled here and for other machines."""

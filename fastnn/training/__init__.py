"""What `fit`, `evaluate` and `predict` are made of."""

"""Networks that the learned models share."""

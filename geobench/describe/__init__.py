"""A simulator, and an experiment with it, as it was measured: a report, a page, a picture."""

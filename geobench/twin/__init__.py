"""A twin experiment: realised, observed, and what is known of its true distribution."""

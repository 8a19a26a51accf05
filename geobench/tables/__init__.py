"""One table, and a writer for each place that shows it."""

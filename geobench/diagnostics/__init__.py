"""Closer looks at forecasts: exact tests, defects, sample sizes, bins of cases."""

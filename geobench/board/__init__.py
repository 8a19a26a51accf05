"""One comparison of models with the true distribution, as data; its tables and its figures."""

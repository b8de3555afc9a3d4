"""MLflow: connection, runs, model registry, packaging and lineage.

No other package imports MLflow, apart from the pyfunc model. Only API calls that older, hosted servers support are used.
"""

"""MLflow: connection, runs, model registry, packaging and lineage.

Apart from the pyfunc model, no other package imports MLflow. Only API calls that older, hosted servers support are used.
"""

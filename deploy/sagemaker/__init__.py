"""SageMaker: the container's side of a training job (contract.py), and what submits jobs and endpoints (__main__.py)."""

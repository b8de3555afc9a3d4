"""SageMaker: the training container's entry point (contract.py) and the commands for jobs and endpoints (__main__.py)."""

"""The process that scores batches, with a memory limit and a deadline (docs/adr/0013-a-process-for-batches.md)."""

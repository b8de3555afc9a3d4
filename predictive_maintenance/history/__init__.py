"""What a machine's past says at a reading: statistics of windows over its readings, and labels from its failure.

Only numpy is needed, because a model version computes the same features when it serves.
"""

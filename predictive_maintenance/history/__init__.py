"""What a machine's past says at a reading: windows over its readings, its events, and labels from its failures.

Only numpy is needed, because a model version computes the same features when it serves.
"""

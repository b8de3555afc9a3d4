"""The rule of the simulator."""

INPUTS = ("clearance_m", "strokes")


def violates_rules(rows):
    return (rows["clearance_m"] / 9e-4 + rows["strokes"] / 3e9 > 1.5).to_numpy()

"""The order in which features are computed, and cycles among their formulas."""

from collections.abc import Mapping

from .formulas import Formula


def dependency_order(formulas: Mapping[str, Formula]) -> list[str]:
    """The features in an order in which each comes after those that its formula uses, without those in a cycle."""
    order: list[str] = []
    while ready := [
        name
        for name, formula in formulas.items()
        if name not in order and all(used in order for used in formula.names if used in formulas)
    ]:
        order += ready
    return order


def cycle_in(formulas: Mapping[str, Formula], rest: list[str]) -> list[str]:
    """The names of a cycle from its first feature back to it. Each of `rest` uses another one of `rest`."""
    path = [rest[0]]
    while True:
        following = next(used for used in formulas[path[-1]].names if used in rest)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)

"""Exact and estimated Shapley values of functions whose values are known."""

from itertools import permutations, product

import numpy as np
import pytest

from predictive_maintenance.inference.shapley import estimated_parts, estimated_values, exact_values
from tests.fixtures.onnx_models import random_trees

REFERENCES = 20


class Game:
    """A function of n inputs, at one reading and several reference readings."""

    def __init__(self, function, inputs, seed=1):
        random = np.random.default_rng(seed)
        self.function, self.inputs = function, inputs
        self.own, self.references = random.random(inputs), random.random((REFERENCES, inputs))

    def score(self, mask, rows):
        mixed = np.where(mask, self.own, self.references[rows])
        return self.function(mixed.reshape(-1, self.inputs)).reshape(mixed.shape[:-1])

    def exact(self):
        return exact_values(self.score, *self.ends(), self.inputs)

    def estimate(self, pairs=2, seed=7):
        return estimated_values(self.score, *self.ends(), self.inputs, pairs, np.random.default_rng(seed))

    def ends(self):
        return self.function(self.references), float(self.function(self.own[None])[0])


def linear(table):
    return table @ np.arange(1.0, table.shape[1] + 1)


def with_pairs(table):
    """A linear function with products of neighbours."""
    return linear(table) + 5 * (table[:, 1:] * table[:, :-1]).sum(axis=1)


def product_of_all(table):
    return table.prod(axis=1)


@pytest.fixture
def trees():
    """Random trees of ten inputs, which interact in groups of up to five."""
    import onnxruntime

    model = random_trees(np.random.default_rng(2).random((200, 10)), depth=5)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return Game(lambda table: session.run(None, {"x": table.astype(np.float32)})[0][:, 0].astype(float), 10)


@pytest.mark.parametrize("inputs", [1, 2, 7, 10])
def test_exact_values_of_a_linear_function_are_the_differences_from_the_mean_reference(inputs):
    game = Game(linear, inputs)
    expected = np.arange(1, inputs + 1) * (game.own - game.references.mean(axis=0))
    np.testing.assert_allclose(game.exact(), expected, atol=1e-12)


def test_exact_values_are_the_mean_contributions_over_all_orders():
    game = Game(product_of_all, 4)
    expected = np.zeros(4)
    for order in permutations(range(4)):
        mixed = game.references.copy()
        for number in order:
            before = product_of_all(mixed).mean()
            mixed[:, number] = game.own[number]
            expected[number] += (product_of_all(mixed).mean() - before) / 24
    np.testing.assert_allclose(game.exact(), expected, atol=1e-14)


@pytest.mark.parametrize("function", [linear, with_pairs])
@pytest.mark.parametrize("inputs", [2, 10])
def test_one_order_with_its_reverse_is_exact_if_at_most_two_inputs_interact(function, inputs):
    game = Game(function, inputs)
    np.testing.assert_allclose(game.estimate(pairs=1)[0], game.exact(), atol=1e-12)


@pytest.mark.parametrize("inputs", [2, 11, 100])
def test_estimates_add_up_to_the_difference_from_the_mean_reference(inputs):
    game = Game(product_of_all, inputs)
    references, own = game.ends()
    assert game.estimate()[0].sum() == pytest.approx(own - references.mean(), abs=1e-12)


def test_the_deviation_of_estimates_from_the_exact_values_is_within_the_stated_errors(trees):
    exact = trees.exact()
    estimates, errors = map(np.array, zip(*(trees.estimate(seed=seed) for seed in range(40)), strict=True))
    deviation, stated = np.sqrt(((estimates - exact) ** 2).mean()), np.sqrt((errors**2).mean())
    assert 0.3 * stated < deviation < stated
    assert (np.abs(estimates - exact) < 2 * errors).mean() > 0.95


def test_more_orders_have_smaller_errors(trees):
    few, many = trees.estimate(pairs=1)[1], trees.estimate(pairs=16)[1]
    assert many.mean() == pytest.approx(few.mean() / 4, rel=0.3)


def test_the_largest_contributions_of_an_estimate_are_the_largest_exact_ones(trees):
    estimates, _ = trees.estimate(pairs=4)
    assert set(np.argsort(-abs(estimates))[:2]) == set(np.argsort(-abs(trees.exact()))[:2])


OWNERS = np.array([0, 1, 1, 1, 2, 2])


def divided(game, value, pairs, seed=7):
    random = np.random.default_rng(seed)
    return estimated_parts(game.score, REFERENCES, value, OWNERS, 1, pairs, random)


def value_of_the_second_input(game):
    def score(mask, rows):
        return game.score(mask[..., OWNERS], rows)

    return exact_values(score, *game.ends(), 3)[1]


def test_parts_are_the_mean_contributions_over_all_orders_that_keep_the_parts_of_an_input_together():
    game = Game(product_of_all, 6)
    expected = np.zeros(6)
    inputs = [permutations([0]), permutations([1, 2, 3]), permutations([4, 5])]
    orders = [
        [part for group in order for part in group] for groups in product(*inputs) for order in permutations(groups)
    ]
    for order in orders:
        mixed = game.references.copy()
        for number in order:
            before = product_of_all(mixed).mean()
            mixed[:, number] = game.own[number]
            expected[number] += (product_of_all(mixed).mean() - before) / len(orders)
    value = value_of_the_second_input(game)
    assert value == pytest.approx(expected[1:4].sum(), abs=1e-14)
    parts, errors = divided(game, value, pairs=20_000)
    assert (np.abs(parts - expected[1:4]) < 4 * errors).all()
    assert errors.max() < 0.02 * np.abs(expected[1:4]).max()


@pytest.mark.parametrize("pairs", [2, 50])
def test_parts_add_up_to_the_value_of_the_input(pairs):
    game = Game(with_pairs, 6)
    assert divided(game, 1.25, pairs)[0].sum() == pytest.approx(1.25, abs=1e-12)

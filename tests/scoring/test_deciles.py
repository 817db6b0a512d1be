import numpy as np

from churn.scoring.deciles import deciles


def test_each_decile_holds_a_tenth_of_the_users_and_equal_probabilities_are_taken_in_row_order():
    assert deciles(np.linspace(1.0, 0.0, 20)).tolist() == np.repeat(np.arange(1, 11), 2).tolist()
    assert deciles(np.full(5, 0.5)).tolist() == [1, 3, 5, 7, 9]
    assert deciles(np.array([0.1, 0.9, 0.1, 0.9])).tolist() == [6, 1, 8, 3]
    assert deciles(np.empty(0)).tolist() == []


def test_a_probability_among_the_scores_of_others_is_put_before_its_equals():
    scores = np.linspace(0.0, 1.0, 100)
    assert deciles(np.array([1.0, 0.995, 0.5, 0.0, -1.0]), scores).tolist() == [1, 1, 6, 10, 10]
    assert deciles(np.array([0.5]), np.full(3, 0.5)).tolist() == [1]
    # A user of the drop gets the decile that the scores have for that user, where probabilities differ.
    assert deciles(scores, scores).tolist() == deciles(scores).tolist()

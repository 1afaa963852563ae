import keras
import pytest

from attnzoo import layers
from attnzoo.layers.lookup import get_attention, get_position, get_score
from attnzoo.layers.names import ATTENTIONS, POSITIONS, SCORES
from tests.tools import normal

QUERY, MEMORY = normal(2, 3, 5, seed=1), normal(2, 11, 5, seed=2)
N, D = 7, 14  # Heads, and their width: a rotary position needs an even one.
SIZES = {"num_heads": N, "key_dim": D, "max_length": 13}


# === Scores ===


@pytest.mark.parametrize("name", SCORES)
def test_a_name_makes_its_score(name):
    arguments = {"additive": {"units": 7}, "concat": {"units": 7}, "location": {"max_length": 11}}
    score = get_score(name, **arguments.get(name, {}))
    assert isinstance(score, SCORES[name])
    assert score(QUERY, MEMORY).shape == (2, 3, 11)


def test_a_score_is_handed_through():
    score = layers.DotScore()
    assert get_score(score, name="score", dtype="float32") is score


def test_a_serialized_score_is_revived():
    revived = get_score(keras.saving.serialize_keras_object(layers.AdditiveScore(7)))
    assert isinstance(revived, layers.AdditiveScore) and revived.units == 7


def test_an_unknown_score_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'additive', 'bilinear'.* Received: score='cosine'"):
        get_score("cosine")


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ("additive", r"a `AdditiveScore\(units=...\)`. Received: units=None"),
        ("concat", "Received: units=None"),
        ("location", "Received: max_length=None"),
    ],
)
def test_what_a_name_needs_is_told(score, message):
    with pytest.raises(ValueError, match=message):
        get_score(score)


def test_a_score_takes_no_arguments():
    with pytest.raises(ValueError, match=r"Received: score=<DotScore.*> with {'units': 7}"):
        get_score(layers.DotScore(), units=7)


@pytest.mark.parametrize("score", [3, None])
def test_a_score_is_a_score(score):
    with pytest.raises(ValueError, match=f"must be a `Score` or one of .* Received: score={score}"):
        get_score(score)


# === Positions ===


@pytest.mark.parametrize("name", POSITIONS)
def test_a_name_takes_what_it_needs_of_what_is_offered(name):
    position = get_position(name, **SIZES, value_dim=None, bidirectional=False, name="mine")
    assert type(position) is POSITIONS[name] and position.name == "mine"
    for size in ("num_heads", "key_dim", "max_length"):
        assert getattr(position, size, SIZES[size]) == SIZES[size]
    assert getattr(position, "bidirectional", False) is False


def test_none_is_no_position():
    assert type(get_position(None, **SIZES)) is layers.Position


def test_a_name_takes_its_own_arguments():
    assert get_position("rotary", num_heads=7, max_wavelength=50.0).max_wavelength == 50.0
    with pytest.raises(ValueError, match="num_bucket"):
        get_position("t5", num_heads=7, num_bucket=8)


def test_an_instance_of_the_right_sizes_is_handed_through():
    position = layers.RelativePosition(key_dim=D)
    assert get_position(position, **SIZES, name="position", dtype="float32") is position


@pytest.mark.parametrize("name", POSITIONS)
def test_a_serialized_position_is_revived(name):
    arguments = {"values": True} if name == "relative" else {}
    position = get_position(name, **SIZES, **arguments)
    revived = get_position(keras.saving.serialize_keras_object(position), **SIZES)
    assert revived is not position and revived.get_config() == position.get_config()


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (layers.AlibiPosition(3), "the `num_heads`=7 around it. Received: .* with num_heads=3"),
        (layers.RelativePosition(3), "the `key_dim`=14 around it. Received: .* with key_dim=3"),
        (
            layers.LearnedPosition(11),
            "must hold `max_length`=13 tokens. .* with max_length=11. Give .* a larger",
        ),
        (
            layers.RelativePosition(D, values=True, value_dim=3),
            "the `value_dim`=5 around it. Received: .* with value_dim=3",
        ),
    ],
)
def test_an_instance_of_other_sizes_is_refused(position, message):
    with pytest.raises(ValueError, match=message):
        get_position(position, **SIZES, value_dim=5)


def test_a_width_of_values_matters_where_values_have_positions():
    position = layers.RelativePosition(D, value_dim=3)
    assert get_position(position, **SIZES, value_dim=5) is position


@pytest.mark.parametrize("position", ["rotary", layers.RotaryPosition()])
def test_an_odd_width_is_refused_early_for_a_rotary_position(position):
    with pytest.raises(ValueError, match="must be even: .* Received: key_dim=5"):
        get_position(position, key_dim=5)


def test_an_unknown_position_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'alibi', 'learned'.* Received: position='cosine'"):
        get_position("cosine")


def test_a_position_takes_no_arguments():
    with pytest.raises(ValueError, match=r"<RotaryPosition.*> with {'max_wavelength': 7.0}"):
        get_position(layers.RotaryPosition(), max_wavelength=7.0)


def test_a_position_is_a_position():
    with pytest.raises(ValueError, match="must be a `Position`, None or .* Received: position=3"):
        get_position(3)


# === Attentions ===


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_name_makes_its_attention(name):
    attention = get_attention(name, units=7, name="attention")
    assert isinstance(attention, layers.Attention) and attention.name == "attention"
    assert attention(QUERY, MEMORY).shape == (2, 3, 5)


def test_what_is_given_comes_before_what_a_name_stands_for():
    attention = get_attention("monotonic", units=7, score="bilinear", sigmoid_noise=0.5)
    assert isinstance(attention.score, layers.BilinearScore) and attention.sigmoid_noise == 0.5
    attention = get_attention("multi_head", units=12, num_heads=3)
    assert (attention.num_heads, attention.key_dim) == (3, 4)


def test_an_attention_is_handed_through_or_revived():
    attention = layers.BahdanauAttention(7)
    assert get_attention(attention, units=5) is attention
    revived = get_attention(keras.saving.serialize_keras_object(attention), units=5)
    assert revived.get_config() == attention.get_config()


@pytest.mark.parametrize("attention", ["soft", 3, None])
def test_what_is_no_attention_is_refused(attention):
    with pytest.raises(ValueError, match=rf"'bahdanau', .* Received: attention={attention!r}"):
        get_attention(attention, units=7)

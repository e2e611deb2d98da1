"""Policies: exact tokens, combinations of scored action units, and files that are no policy."""

from __future__ import annotations

import pytest

from fer_prep.action_units import FacsCode, Policy, action_unit_names, load_policy
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import SettingsError
from fer_prep.resources import manifests_folder

POLICIES = sorted(path.stem for path in (manifests_folder() / "policies").glob("*.toml"))

# Table 3.8 of the thesis, typed again: the default policy is held to it
THESIS = {
    "LFAU_24": "anger",
    "LFAU_9": "disgust",
    "LFAU_12": "happiness",
    "LFAU_15": "sadness",
    "UFAU_2": "surprise",
    "UFAU_1": "fear",
}
SINGLE = [f"LFAU_{n}" for n in (9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 28, 34)]
SINGLE += ["LFAU_12L", "LFAU_12R", "LFAU_12LW", *(f"UFAU_{n}" for n in (1, 2, 4, 43, 44))]


def codes(*texts: str) -> tuple[FacsCode, ...]:
    """``4D`` → AU 4 of intensity D; ``L12`` → AU 12 on one side."""
    return tuple(
        FacsCode(
            number=int(text.strip("LABCDE")), intensity=text[-1] if text[-1] in "ABCDE" else "", unilateral="L" in text
        )
        for text in texts
    )


def test_the_default_is_table_3_8_and_nothing_else():
    policy = load_policy("thesis-3.8")
    assert {code: emotion for code in SINGLE if (emotion := policy.decide(code).emotion)} == THESIS


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_that_is_shipped_is_whole(name):
    policy = load_policy(name)
    assert policy.name == name
    assert policy.description
    for rule in (*policy.rules, *policy.combinations):
        assert rule.emotion in EMOTIONS
        assert rule.source


def test_tokens_are_compared_whole():
    policy = load_policy("thesis-3.8")
    for code in ("LFAU_12L", "LFAU_12R", "LFAU_12LW", "LFAU_1", "UFAU_12", "LFAU_2"):
        decision = policy.decide(code)
        assert decision.emotion == ""
        assert code in decision.reason


@pytest.mark.parametrize(
    ("scored", "emotion"),
    [
        (codes("23C", "24B"), "anger"),
        (codes("23C"), ""),
        (codes("9"), "disgust"),
        (codes("1C", "2B", "4D"), "fear"),
        (codes("1A", "4A", "15A"), "sadness"),
        (codes("6", "15"), "sadness"),
        (codes("1", "2", "26"), "surprise"),
        (codes("5B"), "surprise"),
        (codes("5C"), ""),
        (codes("12D", "25B"), "happiness"),
        (codes("L12D"), ""),
        (codes("L15", "1", "4"), ""),
        (codes("9", "12"), ""),
        ((), ""),
    ],
    ids=lambda value: "+".join(map(str, value)) if isinstance(value, tuple) else value,
)
def test_scores_decide_by_the_ck_criteria(scored, emotion):
    assert load_policy("ck-emfacs-strict").decide("UFAU_43", facs_codes=scored).emotion == emotion


def test_scores_that_fit_two_emotions_say_so():
    decision = load_policy("ck-emfacs-strict").decide("UFAU_43", facs_codes=codes("9", "12"))
    assert decision.reason == "its FACS scores fit disgust and happiness"


def test_without_scores_the_instructed_unit_counts():
    policy = load_policy("ck-emfacs-strict")
    assert policy.decide("LFAU_10").emotion == "disgust"
    assert policy.decide("LFAU_24").emotion == ""


def test_a_decision_carries_strength_and_source():
    decision = load_policy("thesis-3.8").decide("UFAU_1")
    assert decision.strength == "weak"
    assert "CK+" in decision.source


def test_a_file_of_ones_own_is_a_policy(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[rule]]\ntokens = ["lfau_27"]\nemotion = "surprise"\nstrength = "weak"\nsource = "me"\n')
    policy = load_policy(path)
    assert policy == load_policy(str(path))
    assert policy.name == "mine"
    assert policy.decide("LFAU_27").emotion == "surprise"
    assert policy.digest != load_policy("thesis-3.8").digest


RULE = '[[rule]]\ntokens = ["LFAU_9"]\nemotion = "disgust"\nstrength = "strong"\nsource = "x"\n'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "at least one"),
        ("name = [", "not valid TOML"),
        ("colour = 1\n" + RULE, "no setting called 'colour'"),
        (RULE.replace("disgust", "boredom"), "rule.0.emotion = 'boredom': expected one of anger"),
        (RULE.replace('"strong"', '"sure"'), "rule.0.strength = 'sure': expected one of strong, weak"),
        (RULE.replace('source = "x"\n', ""), "expected rule.0.source; found none"),
        (RULE + "colour = 1\n", "no setting called 'rule.0.colour'"),
        (RULE.replace('["LFAU_9"]', '"LFAU_9"'), "rule.0.tokens = 'LFAU_9': expected a list"),
        (RULE.replace('["LFAU_9"]', "[9]"), "rule.0.tokens.0 = 9: expected text"),
        (RULE + RULE, "LFAU_9 stands in several rules"),
        ("rule = 3\n", "rule = 3: expected a list"),
        (
            RULE.replace("rule", "combination").replace("tokens", "action_units"),
            "combination.0.action_units.0 = 'LFAU_9': expected a whole number",
        ),
    ],
)
def test_what_is_no_policy_is_refused_with_its_place(tmp_path, text, found):
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_policy(path)
    assert found in str(caught.value)
    assert caught.value.path == path


def test_a_missing_policy_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="no such policy file"):
        load_policy(tmp_path / "none.toml")


def test_every_unit_of_the_policies_has_a_name():
    for name in POLICIES:
        for combination in load_policy(name).combinations:
            assert set(combination.action_units) <= set(action_unit_names())
    assert 3 not in action_unit_names()


def test_policies_compare_by_their_rules():
    assert isinstance(load_policy("thesis-3.8"), Policy)
    assert load_policy("thesis-3.8") == load_policy("thesis-3.8")
    assert load_policy("thesis-3.8") != load_policy("weak-labels")

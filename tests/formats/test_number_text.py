"""Numbers in text are those that ``float`` and ``int`` give, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.formats.number_text import MAX_NUMBERS, NumberTextError, parse_numbers


def parse_decimals(text):
    return parse_numbers(text, kind=np.float64)


def parse_integers(text):
    return parse_numbers(text, kind=np.int64)


SEPARATORS = st.sampled_from([" ", "\n", ",", ", ", "\t\t", " ,\r\n"])


@st.composite
def decimal_words(draw) -> str:
    """Words such as -12.50, +.5, 3., 1e-7."""
    whole = draw(st.text("0123456789", max_size=20))
    fraction = draw(st.text("0123456789", max_size=20))
    digits = whole + draw(st.sampled_from(["", "."])) + fraction if whole or fraction else "0"
    exponent = draw(st.sampled_from(["", "", "", "e3", "E-12", "e+05"]))
    return draw(st.sampled_from(["", "-", "+"])) + digits + exponent


@settings(max_examples=100, deadline=None)
@given(st.lists(decimal_words(), max_size=30), SEPARATORS)
def test_decimals_are_those_of_python(words, separator):
    parsed = parse_decimals((separator + separator.join(words)).encode())
    np.testing.assert_array_equal(parsed, np.array([float(word) for word in words]))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-(10**18) + 1, 10**18 - 1), max_size=30), SEPARATORS, st.sampled_from(["{}", "{:+}", "{:05}"])
)
def test_integers_are_those_of_python(numbers, separator, fmt):
    words = [fmt.format(number) for number in numbers]
    assert parse_integers((separator.join(words) + separator).encode()).tolist() == numbers


@pytest.mark.parametrize("text", ["", " ", "\n,,\t"])
def test_nothing_gives_nothing(text):
    assert parse_decimals(text.encode()).shape == (0,)
    assert parse_integers(text.encode()).shape == (0,)


@pytest.mark.parametrize("word", ["1.5", "-", "+", "5-3", "--5", "1e3", "0x1F", "1_0", "nan", ".", "é"])
def test_what_is_no_integer_is_refused(word):
    with pytest.raises(NumberTextError):
        parse_integers(f"1 2 {word} 3".encode())


@pytest.mark.parametrize("word", ["1.2.3", "-", ".", "5-3", "1e", "e5", "1e5.0", "1_0", "--5", "+-5", "\x00"])
def test_what_is_no_decimal_is_refused_by_name(word):
    with pytest.raises(NumberTextError) as caught:
        parse_decimals(f"1 2.5 {word} 3".encode())
    assert caught.value.found == repr(word)


def test_what_is_too_large_is_not_taken_for_something_else():
    assert parse_decimals(b"1e999").tolist() == [np.inf]
    assert parse_integers(b"9" * 30).tolist() == [2**63 - 1]


def test_two_faults_that_make_up_for_each_other_in_number_are_found():
    with pytest.raises(NumberTextError, match=r"1\.2\.3"):
        parse_decimals(b"1.2.3 x")


def test_a_list_of_absurd_length_is_refused_before_it_is_read():
    with pytest.raises(NumberTextError, match="numbers in one list"):
        parse_integers(b"1 " * (MAX_NUMBERS + 1))

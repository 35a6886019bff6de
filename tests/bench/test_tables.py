"""How the README's tables are written."""

from bench import tables


def test_a_long_numbered_family_is_shown_by_its_ends() -> None:
    names = ["gap", *(f"lag_{n}" for n in range(64)), "rsi_2"]
    assert tables.ranges(names) == "`gap` `lag_0` … `lag_63` `rsi_2`"


def test_numbers_that_do_not_follow_each_other_are_shown_one_by_one() -> None:
    names = ["a_5", "a_10", "b_11", "a_12", "c", "7"]
    assert tables.ranges(names) == "`a_5` `a_10` `b_11` `a_12` `c` `7`"
    assert tables.ranges(f"lag_{n}" for n in range(3)) == "`lag_0` `lag_1` `lag_2`"

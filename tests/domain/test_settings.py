"""Settings: the environment over the file over the defaults, and what is wrong is named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from domain.book import Costs, Limits
from domain.errors import SettingsError
from domain.settings import Settings, load


def written(folder: Path, text: str) -> Path:
    file = folder / "omega.toml"
    file.write_text(text)
    return file


def refused(file: Path, environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(file, environ)
    return str(caught.value)


def test_without_file_and_environment_nothing_is_needed_and_no_server_is_asked(
    tmp_path: Path,
) -> None:
    settings = load(tmp_path / "none.toml", {})
    assert settings == Settings()
    assert settings.database == "sqlite:///var/omega.db"
    assert settings.broker_url == "memory://"
    assert (settings.feed, settings.seed) == ("packaged", 7)
    assert (settings.limits, settings.costs) == (Limits(), Costs())


def test_the_file_is_over_the_defaults_and_the_environment_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'home = "there"\nseed = 3\n[limits]\nloss_streak = 4\n')
    settings = load(file, {"OMEGA_SEED": "5"})
    assert (settings.home, settings.seed) == (Path("there"), 5)
    assert settings.limits == Limits(loss_streak=4)


def test_limits_and_costs_are_nested_in_the_file_and_in_the_environment(tmp_path: Path) -> None:
    file = written(tmp_path, "[limits]\nloss_streak = 4\ntotal_risk = 0.2\n[costs]\noption_leg=0.2")
    environ = {"OMEGA_LIMITS__TOTAL_RISK": "0.1", "OMEGA_COSTS__SHARE_SLIPPAGE": "0.002"}
    settings = load(file, environ)
    assert settings.limits == Limits(loss_streak=4, total_risk=0.1)
    assert settings.costs == Costs(option_leg=0.2, share_slippage=0.002)


def test_the_environment_that_is_handed_in_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_SEED", "99")
    assert load(tmp_path / "none.toml", {}).seed == 7
    assert load(tmp_path / "none.toml").seed == 99


def test_names_in_the_environment_may_be_in_any_case_and_others_are_left_alone(
    tmp_path: Path,
) -> None:
    settings = load(tmp_path / "none.toml", {"omega_seed": "5", "PATH": "/bin", "HOME": "/root"})
    assert settings.seed == 5


def test_a_file_can_hold_any_value_so_that_a_secret_is_in_no_environment(tmp_path: Path) -> None:
    for name, text in {"url": "postgresql://omega:secret@db/omega\n", "streak": "2"}.items():
        (tmp_path / name).write_text(text)
    environ = {
        "OMEGA_DATABASE_URL_FILE": str(tmp_path / "url"),
        "omega_limits__loss_streak_file": str(tmp_path / "streak"),
    }
    settings = load(written(tmp_path, "[limits]\nloss_streak = 4\n"), environ)
    assert settings.database_url == "postgresql://omega:secret@db/omega"
    assert settings.limits == Limits(loss_streak=2)


def test_a_value_and_a_file_for_it_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://one")
    both = {"OMEGA_BROKER_URL": "redis://one", "OMEGA_BROKER_URL_FILE": str(tmp_path / "url")}
    for environ in (both, dict(reversed(both.items()))):
        said = refused(tmp_path / "none.toml", environ)
        assert "OMEGA_BROKER_URL is set twice" in said


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(None, "No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff", "decode")],
)
def test_a_file_that_holds_no_value_is_never_taken_for_the_default(
    tmp_path: Path, content: bytes | None, wrong: str
) -> None:
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    said = refused(tmp_path / "none.toml", {"OMEGA_BROKER_URL_FILE": str(tmp_path / "url")})
    assert said.startswith("OMEGA_BROKER_URL_FILE: ")
    assert wrong in said


def test_a_database_url_goes_before_the_home() -> None:
    assert Settings(database_url="postgresql://db/omega").database == "postgresql://db/omega"


@pytest.mark.parametrize(
    ("text", "wrong", "right"),
    [
        ("sead = 3", "sead", "seed"),
        ("[limits]\nloss_streek = 3", "limits.loss_streek", "limits.loss_streak"),
        ("[costs]\noption_legs = 0.1", "costs.option_legs", "costs.option_leg"),
        ("[database]\nurl = 'x'", "database.url", "database_url"),
    ],
)
def test_a_misspelt_key_in_the_file_names_the_right_one(
    tmp_path: Path, text: str, wrong: str, right: str
) -> None:
    said = refused(written(tmp_path, text), {})
    assert f"unknown setting {wrong!r}; did you mean {right!r}?" in said
    assert "omega.toml" in said


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("OMEGA_SEAD", "OMEGA_SEED"),
        ("OMEGA_LIMITS__LOSS_STREEK", "OMEGA_LIMITS__LOSS_STREAK"),
        ("OMEGA_LIMITS_LOSS_STREAK", "OMEGA_LIMITS__LOSS_STREAK"),
        ("omega_hone", "OMEGA_HOME"),
        ("OMEGA_BROKER_ULR_FILE", "OMEGA_BROKER_URL"),
    ],
)
def test_a_misspelt_name_in_the_environment_names_the_right_one(
    tmp_path: Path, name: str, right: str
) -> None:
    said = refused(tmp_path / "none.toml", {name: "1"})
    assert f"environment {name!r}; did you mean {right!r}?" in said


def test_a_key_that_is_like_no_other_lists_them_all(tmp_path: Path) -> None:
    said = refused(written(tmp_path, "zzz = 1"), {})
    assert "known: broker_url, costs.future_commission" in said


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OMEGA_SEED": "-1"}, "seed: Input should be greater than or equal to 0"),
        ({"OMEGA_SEED": "seven"}, "seed: Input should be a valid integer"),
        ({"OMEGA_LIMITS__TOTAL_RISK": "1.5"}, "limits.total_risk: Input should be less than"),
        ({"OMEGA_LIMITS__MAX_CORRELATION": "nan"}, "limits.max_correlation: Input should be"),
        ({"OMEGA_COSTS__OPTION_LEG": "-0.1"}, "costs.option_leg: Input should be greater"),
        ({"OMEGA_COSTS__OPTION_LEG": "inf"}, "costs.option_leg: Input should be a finite"),
    ],
)
def test_a_value_out_of_range_is_named(tmp_path: Path, environ: dict[str, str], named: str) -> None:
    assert named in refused(tmp_path / "none.toml", environ)


def test_every_value_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path / "none.toml", {"OMEGA_SEED": "-1", "OMEGA_LIMITS__TOTAL_RISK": "2"})
    assert "seed: " in said
    assert "limits.total_risk: " in said


def test_a_table_where_a_value_belongs_is_refused(tmp_path: Path) -> None:
    assert "unknown setting 'limits'" in refused(written(tmp_path, "limits = 5"), {})


def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 1" in refused(written(tmp_path, "seed == 3"), {})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().seed = 8  # type: ignore[misc]
    assert SettingsError.exit_code == 3

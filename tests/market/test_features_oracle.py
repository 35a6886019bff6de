"""The features against pandas, written out the slow and plain way, one symbol at a time."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from market.features import compute
from tests.market.panels import market

Frame = pd.DataFrame
YEAR = np.sqrt(252.0)


def wilder(x: pd.Series, n: int = 14) -> pd.Series:
    return x.ewm(alpha=1 / n, adjust=False).mean()


def span(x: pd.Series, n: int) -> pd.Series:
    return x.ewm(span=n, adjust=False).mean()


def log_return(f: Frame, n: int = 1) -> pd.Series:
    return np.log(f.close).diff(n)


def rsi(f: Frame, n: int) -> pd.Series:
    step = f.close.diff().iloc[1:]
    up, down = wilder(step.clip(lower=0), n), wilder(-step.clip(upper=0), n)
    return (100 - 100 / (1 + up / down)).reindex(f.index)


def macd(f: Frame) -> pd.Series:
    return span(f.close, 12) - span(f.close, 26)


def stochastic(f: Frame) -> pd.Series:
    low, high = f.low.rolling(14).min(), f.high.rolling(14).max()
    return 100 * (f.close - low) / (high - low)


def true_range(f: Frame) -> pd.Series:
    before = f.close.shift()
    return pd.concat([f.high - f.low, (f.high - before).abs(), (f.low - before).abs()], axis=1).max(
        axis=1
    )


def directional(f: Frame, side: int) -> pd.Series:
    up, down = f.high.diff().iloc[1:], -f.low.diff().iloc[1:]
    ahead, behind = (up, down) if side > 0 else (down, up)
    moved = wilder(ahead.where((ahead > behind) & (ahead > 0), 0.0))
    return 100 * moved.reindex(f.index) / wilder(true_range(f))


def adx(f: Frame) -> pd.Series:
    plus, minus = directional(f, 1), directional(f, -1)
    return wilder((100 * (plus - minus).abs() / (plus + minus)).iloc[1:]).reindex(f.index)


def on_balance(f: Frame) -> pd.Series:
    balance = (np.sign(f.close.diff()) * f.volume).cumsum()
    return (balance - balance.rolling(20).mean()) / balance.rolling(20).std()


def hurst(f: Frame) -> pd.Series:
    lags = [2, 4, 8, 16, 32]
    logs = pd.concat([np.log(log_return(f, q).rolling(100).std()) for q in lags], axis=1)
    return logs.apply(
        lambda row: np.polyfit(np.log(lags), row, 1)[0] if row.notna().all() else np.nan, axis=1
    )


def z(x: pd.Series, n: int) -> pd.Series:
    return (x - x.rolling(n).mean()) / x.rolling(n).std()


def move(f: Frame) -> pd.Series:
    return f.close.diff().abs().rolling(14).mean() / f.close


def percentile(f: Frame) -> pd.Series:
    return f.vix.rolling(30).apply(lambda w: ((w < w.iloc[-1]).sum()) / 29)


def share_below(x: pd.Series, n: int) -> pd.Series:
    """Return the share of the last n that the newest is above, ties halved."""

    def of(window: np.ndarray) -> float:
        below, same = np.sum(window < window[-1]), np.sum(window == window[-1]) - 1
        return (below + same / 2) / (n - 1)

    return x.rolling(n).apply(of, raw=True)


def above(f: Frame, level: str) -> pd.Series:
    return 100 * (1 - f[level] / f.benchmark)


def nearest(f: Frame) -> pd.Series:
    both = pd.concat([above(f, "GEX_MAGNET_1"), above(f, "GEX_MAGNET_2")], axis=1).to_numpy()
    return pd.Series(both[np.arange(len(both)), np.abs(both).argmin(axis=1)], index=f.index)


def own_size(f: Frame) -> pd.Series:
    return f.GEX_NET.pow(2).rolling(20).mean().pow(0.5)


def flag(true: pd.Series) -> pd.Series:
    return true.astype(float)


def implied_over_realised(f: Frame) -> pd.Series:
    return f.CHAIN_IV / (100 * YEAR * np.log(f.benchmark).diff().rolling(21).std())


GAMMA: dict[str, Callable[[Frame], pd.Series]] = {
    "gex_normalized": lambda f: f.GEX_NET / own_size(f),
    "gex_percentile_252": lambda f: share_below(f.GEX_NET, 252),
    "gex_change_1d": lambda f: f.GEX_NET.diff() / own_size(f),
    "gex_regime_positive": lambda f: flag(f.GEX_NET > 0),
    "gex_regime_changed": lambda f: flag(np.sign(f.GEX_NET) != np.sign(f.GEX_NET.shift())),
    "gex_distance_to_flip_pct": lambda f: above(f, "GEX_FLIP"),
    "gex_near_flip": lambda f: flag((f.GEX_FLIP / f.benchmark).between(0.995, 1.005)),
    "gex_distance_to_call_wall_pct": lambda f: above(f, "GEX_CALL_WALL"),
    "gex_distance_to_put_wall_pct": lambda f: above(f, "GEX_PUT_WALL"),
    "gex_wall_spread_pct": lambda f: 100 * (f.GEX_CALL_WALL - f.GEX_PUT_WALL) / f.benchmark,
    "gex_position_in_walls": lambda f: (
        (f.benchmark - f.GEX_PUT_WALL) / (f.GEX_CALL_WALL - f.GEX_PUT_WALL)
    ),
    "gex_between_walls": lambda f: flag(f.benchmark.between(f.GEX_PUT_WALL, f.GEX_CALL_WALL)),
    "gex_above_call_wall": lambda f: flag(f.benchmark > f.GEX_CALL_WALL),
    "gex_below_put_wall": lambda f: flag(f.benchmark < f.GEX_PUT_WALL),
    "gex_near_wall": lambda f: flag(
        (f.GEX_CALL_WALL / f.benchmark).between(0.995, 1.005)
        | (f.GEX_PUT_WALL / f.benchmark).between(0.995, 1.005)
    ),
    "gex_distance_to_magnet_pct": nearest,
    "gex_near_magnet": lambda f: flag(nearest(f).abs() < 0.3),
    "gex_in_pin_zone": lambda f: flag(f.benchmark.between(f.GEX_MAGNET_1, f.GEX_MAGNET_2)),
    "gex_pin_zone_width_pct": lambda f: 100 * (f.GEX_MAGNET_2 - f.GEX_MAGNET_1) / f.benchmark,
    "gex_ratio_log": lambda f: np.log((f.CHAIN_PUTS.abs() / f.CHAIN_CALLS).clip(0.1, 10)),
    "gex_imbalance": lambda f: (
        (f.CHAIN_CALLS + f.CHAIN_PUTS) / (f.CHAIN_CALLS.abs() + f.CHAIN_PUTS.abs())
    ),
    "put_call": lambda f: f.PUT_CALL,
    "put_call_z_60": lambda f: (
        (f.PUT_CALL - f.PUT_CALL.rolling(60).mean()) / f.PUT_CALL.rolling(60).std()
    ),
    "dix": lambda f: f.DIX,
    "dix_percentile_252": lambda f: share_below(f.DIX, 252),
    "skew_index_percentile_252": lambda f: share_below(f.SKEW, 252),
    "vvix_percentile_252": lambda f: share_below(f.VVIX, 252),
    "vix_term_9d_vix": lambda f: f.VIX9D / f.VIX,
    "vix_term_vix_3m": lambda f: f.VIX / f.VIX3M,
    "chain_atm_iv_over_rv21": implied_over_realised,
    "chain_skew": lambda f: f.CHAIN_SKEW,
    "vix_regime_low": lambda f: flag(f.VIX < 15),
    "vix_regime_mid": lambda f: flag((f.VIX >= 15) & (f.VIX < 25)),
    "vix_regime_high": lambda f: flag(f.VIX >= 25),
    "prev_range_pct": lambda f: 100 * (f.high.shift() - f.low.shift()) / f.low.shift(),
}
ORACLE: dict[str, Callable[[Frame], pd.Series]] = GAMMA | {
    "return_1d": lambda f: f.close.pct_change(),
    "return_20d": lambda f: f.close.pct_change(20),
    "gap": lambda f: f.open / f.close.shift() - 1,
    "range_1d": lambda f: f.high / f.low - 1,
    "close_position": lambda f: (f.close - f.low) / (f.high - f.low),
    "sma_ratio_50": lambda f: f.close / f.close.rolling(50).mean() - 1,
    "ema_ratio_21": lambda f: f.close / span(f.close, 21) - 1,
    "distance_from_high_252": lambda f: f.close / f.close.rolling(252).max() - 1,
    "drawdown_60": lambda f: f.close / f.close.rolling(60).max() - 1,
    "volume_ratio_20": lambda f: f.volume / f.volume.rolling(20).mean(),
    "volume_z_50": lambda f: z(f.volume, 50),
    "obv_z_20": on_balance,
    "dollar_volume_ratio_20": lambda f: (
        f.close * f.volume / (f.close * f.volume).rolling(20).mean()
    ),
    "rsi_2": lambda f: rsi(f, 2),
    "rsi_14": lambda f: rsi(f, 14),
    "macd": lambda f: macd(f) / f.close,
    "macd_signal": lambda f: span(macd(f), 9) / f.close,
    "macd_histogram": lambda f: (macd(f) - span(macd(f), 9)) / f.close,
    "stochastic_k": stochastic,
    "stochastic_d": lambda f: stochastic(f).rolling(3).mean(),
    "williams_r": lambda f: stochastic(f) - 100,
    "atr_14": lambda f: wilder(true_range(f)) / f.close,
    "close_range_14": move,
    "bollinger_b": lambda f: (
        (f.close - f.close.rolling(20).mean() + 2 * f.close.rolling(20).std(ddof=0))
        / (4 * f.close.rolling(20).std(ddof=0))
    ),
    "bollinger_width": lambda f: 4 * f.close.rolling(20).std(ddof=0) / f.close.rolling(20).mean(),
    "plus_di_14": lambda f: directional(f, 1),
    "minus_di_14": lambda f: directional(f, -1),
    "adx_14": adx,
    "volatility_20": lambda f: log_return(f).rolling(20).std() * YEAR,
    "parkinson_20": lambda f: (
        np.sqrt((np.log(f.high / f.low) ** 2).rolling(20).mean() / (4 * np.log(2))) * YEAR
    ),
    "volatility_ratio_5_60": lambda f: (
        log_return(f).rolling(5).std() / log_return(f).rolling(60).std()
    ),
    "zscore_20": lambda f: z(f.close, 20),
    "skew_60": lambda f: log_return(f).rolling(60).skew(),
    "kurtosis_60": lambda f: log_return(f).rolling(60).kurt(),
    "autocorrelation_50": lambda f: log_return(f).rolling(50).corr(log_return(f).shift()),
    "variance_ratio_5": lambda f: (
        log_return(f, 5).rolling(100).var() / (5 * log_return(f).rolling(100).var())
    ),
    "hurst_100": hurst,
    "beta_60": lambda f: (
        log_return(f).rolling(60).cov(np.log(f.benchmark).diff())
        / np.log(f.benchmark).diff().rolling(60).var()
    ),
    "correlation_60": lambda f: log_return(f).rolling(60).corr(np.log(f.benchmark).diff()),
    "regime_vol_ratio": lambda f: move(f) / move(f).rolling(100).median(),
    "regime_trend_z": lambda f: (
        log_return(f).rolling(50).mean() / log_return(f).rolling(50).std() * np.sqrt(50)
    ),
    "day_of_week_sin": lambda f: pd.Series(np.sin(2 * np.pi * f.index.day_of_week / 5), f.index),
    "is_friday": lambda f: pd.Series(f.index.day_of_week == 4, f.index).astype(float),
    "month_cos": lambda f: pd.Series(np.cos(2 * np.pi * (f.index.month - 1) / 12), f.index),
    "vix": lambda f: f.vix,
    "vix_percentile_30d": percentile,
    "vix_change_5d": lambda f: 100 * f.vix.pct_change(5),
    "price_change_1d": lambda f: 100 * f.benchmark.pct_change(),
    "expected_move_pct": lambda f: f.vix / YEAR,
    "volatility_risk_premium": lambda f: (
        f.vix / YEAR - np.sqrt((100 * f.benchmark.pct_change()).pow(2).rolling(5).mean())
    ),
    "iv_rank_252": lambda f: (
        (f.vix - f.vix.rolling(252).min()) / (f.vix.rolling(252).max() - f.vix.rolling(252).min())
    ),
    "rv21_over_vix": lambda f: 100 * YEAR * np.log(f.benchmark).diff().rolling(21).std() / f.vix,
}


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    panel = market(450)
    fields = ("open", "high", "low", "close", "volume")
    return [
        Frame(
            {field: getattr(panel, field)[:, column] for field in fields}
            | {"benchmark": panel.close[:, 0], "vix": panel.series["VIX"]}
            | dict(panel.series),
            index=pd.DatetimeIndex(panel.times),
        )
        for column in range(3)
    ]


@pytest.mark.parametrize("name", ORACLE)
def test_a_feature_is_what_pandas_makes_of_it(name: str, frames: list[Frame]) -> None:
    ours = compute.history(market(450), [name])[name]
    warm = compute.select([name])[0].warmup - 1
    for column, frame in enumerate(frames):
        theirs = ORACLE[name](frame).to_numpy()
        assert np.isfinite(theirs[warm:]).all()
        np.testing.assert_allclose(ours[warm:, column], theirs[warm:], rtol=2e-5, atol=1e-6)

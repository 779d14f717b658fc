"""``HE_DEPTH_…``: which perpetual is looked at for which asset."""

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.service.settings import load_service_settings

ON = {"HE_DEPTH_FEED": "binanceusdm"}


def test_without_a_feed_nothing_is_looked_at():
    assert load_service_settings({}).depth_feed is None


def test_each_asset_is_looked_at_against_usdt_unless_another_pair_is_named():
    settings = load_service_settings({**ON, "HE_ASSETS": "BTC,ETH,PEPE", "HE_DEPTH_SYMBOLS": "ETH=ETH/USDC:USDC"})
    assert settings.symbols_for_depth() == {"BTC": "BTCUSDT", "ETH": "ETH/USDC:USDC", "PEPE": "PEPEUSDT"}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HE_DEPTH_SYMBOLS": "BTC"}, "BTC=BTCUSDC"),
        ({"HE_DEPTH_SYMBOLS": "BTC=nonsense"}, "nonsense of BTC"),
        ({"HE_DEPTH_SYMBOLS": "BTC=BTCUSD_PERP"}, "inverse"),
        ({"HE_DEPTH_SYMBOLS": "SOL=SOLUSDT"}, "SOL is none of the assets"),
        ({**ON, "HE_ASSETS": "BTC,USDT"}, "USDTUSDT of USDT"),
    ],
)
def test_a_pair_that_is_none_is_refused_with_its_asset(variables, named):
    with pytest.raises(ConfigError) as caught:
        load_service_settings(variables)
    assert caught.value.field == "HE_DEPTH_SYMBOLS"
    assert caught.value.fix
    assert named in str(caught.value)


def test_assets_without_a_perpetual_are_no_matter_while_nothing_is_looked_at():
    assert load_service_settings({"HE_ASSETS": "BTC,USDT"}).assets == ("BTC", "USDT")

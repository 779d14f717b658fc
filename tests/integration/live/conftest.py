"""What of these tests `make test` runs: each starts an exchange, a bot and a database, so all of them take half an hour.

`make soak` runs every one with every case; the suite runs the first case of those that are named here.
"""

import pytest

IN_THE_SUITE = {
    "test_rehearsal": "a",
    "test_lost_answers": "creates_whose",
    "test_contracts_and_quotes": "an_inverse a_contract",
    "test_no_writes_without_real_mode": "no",
    "test_setup_at_start": "leverage_over numbers_that settings_that",
    "test_twins": "a_second_bot_on_the_same",
    "test_inventory": "a_sum_adds a_mangled_balance",
    "test_doctor_real": "a_sound_account",
}
"""By file: how the sentences begin whose tests are in the suite."""


def pytest_collection_modifyitems(items):
    seen = set()
    for item in items:
        if item.path.parent.name != "live":
            continue
        function = (item.path, getattr(item, "originalname", item.name))
        kept = IN_THE_SUITE.get(item.path.stem, "").split()
        if function in seen or not function[1].removeprefix("test_").startswith(tuple(kept)):
            item.add_marker(pytest.mark.soak)
        seen.add(function)

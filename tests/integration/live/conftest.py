"""What of these tests `make test` runs: each starts an exchange, a bot and a database, so all of them take a quarter of an hour.

`make soak` runs every one with every case. The suite runs the first case of those that are named here: of each fault the main sentence.
"""

import pytest

IN_THE_SUITE = {
    "test_account": "a_contract_that_is the_private a_pair_whose a_call the_listen_key",
    "test_cancels": "a_stop_leaves a_cancel_that_is_lost orders_that_fill an_order_without_an_answer a_cancel_of_many",
    "test_clocks_and_outages": "an_outage_in_the_middle a_venue_whose_clock a_bot_starts_at a_local_clock",
    "test_contracts_and_quotes": "a",
    "test_dead_man_switch": "a_bot_that_hangs orders_that_the_venue_took_out a_living_bot_whose",
    "test_doctor_real": "a_sound_account what_is_wrong",
    "test_hedge_mode": "a_whole_run",
    "test_inventory": "the_base_coin coins_in_open a_sum_adds an_account_at_another a_mangled_balance coins_unread an_outage_of_the_spot",
    "test_kills": "a_kill fills a_walk_with_twenty",
    "test_limits_and_bans": "nothing_at_all with_the_budget_spent_cancels the_budget a_request_that_waits",
    "test_lost_answers": "creates orders_that_took_at_once mangled no_new_order fresh_orders a_stale a_fill_that_comes of_an_order",
    "test_no_writes_without_real_mode": "no",
    "test_outsiders": "a_revoked_key a_manual_trade a_liquidation a_deleveraged a_leverage_changed_beyond a_position_mode",
    "test_paper_equals_real": "a",
    "test_postgres": "a_session_that_is_killed an_older a_server_that_is_away",
    "test_protective_stop": "it_rests it_fires a_stop_that_a_person",
    "test_rehearsal": "a",
    "test_rejections": "what_is_refused a_node_that post_only a_refused",
    "test_secrets_stay_secret": "no_log no_command settings_refuse",
    "test_setup_at_start": "leverage a_venue_that_says_yes a_key_that_cannot numbers_that settings_that what_the_venue",
    "test_shared_account": "two_pairs a_halt funding",
    "test_stopping": "a_create_in_flight_is_settled cancels_that_fail an_unreachable",
    "test_starting_again": "a",
    "test_storage_fails": "a_full_disk while_the_database a_write_ahead an_older",
    "test_streams_that_fail": (
        "what_filled a_private_stream_that_says without_any_quote sockets_that_hang no_frame a_listen_key events_that no_order_book"
    ),
    "test_trades_listed_wrongly": "rows_that more_than_a_thousand_fills_while",
    "test_twins": "a_second_bot",
    "test_wild_markets": (
        "a_gap a_flash fifty_swings a_last_price a_mark_price_below a_crossed a_quote with_the_spot funding_of "
        "a_new_funding_interval_is_counted a_rally when_a_floor filters_that_change_while_it_runs_are_read a_symbol"
    ),
}
"""By file: how the sentences begin whose tests are in the suite."""


def pytest_collection_modifyitems(items):
    seen = set()
    for item in items:
        if item.path.parent.name != "live":
            continue
        function = (item.path, getattr(item, "originalname", item.name))
        kept = IN_THE_SUITE.get(item.path.stem, "").split()
        if function in seen or not function[1].removeprefix("test_").startswith(tuple(kept) or ("-",)):
            item.add_marker(pytest.mark.soak)
        seen.add(function)

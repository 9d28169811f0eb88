# ruff: noqa: E501 - names of tests are wider than code
"""What an engine of this kind must do, by the areas of its behaviour, and the tests that show it here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.integration.hotmesh.shown import missing

MESH = "integration/hotmesh/"
ACTIVITIES = f"{MESH}test_activities.py::"
CRASHES = f"{MESH}test_crashes.py::"
FLOWS = f"{MESH}test_conformance_flows.py::"
QUORUM = f"{MESH}test_quorum.py::"
ROUTING = f"{MESH}test_conformance_routing.py::"
SIGNALS = f"{MESH}test_signals.py::"
THROTTLE = f"{MESH}test_quorum_throttle.py::"
VERSIONS = f"{MESH}test_versions.py::"

SHOWN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # init, plan, deploy, activate; pub, duplicate ids; signals, sleeps; stats, ids, signals to all.
        "postgres.test": (
            f"{VERSIONS}test_plan_only_looks",
            f"{VERSIONS}test_nothing_runs_before_activation",
            f"{VERSIONS}test_an_id_is_taken_while_its_job_runs_and_until_it_expires",
            f"{ACTIVITIES}test_a_trigger_alone_is_done_at_once",
            f"{ACTIVITIES}test_a_worker_answers",
            f"{ACTIVITIES}test_a_hook_sleeps_to_the_moment",
            f"{CRASHES}test_two_engines_share_the_work",
            f"{SIGNALS}test_a_signal_wakes_the_job_that_its_rule_means",
            f"{MESH}test_conformance_stats.py::test_an_hour_has_thirteen_steps_of_five_minutes",
            f"{MESH}test_conformance_stats.py::test_ids_are_found_by_facets",
            f"{MESH}test_conformance_signal_all.py::test_each_job_of_a_facet_is_signalled_once",
        ),
        "awaiter": (f"{ACTIVITIES}test_an_await_waits_for_its_child",),
        # Adapted: values are JSON, and come back as they went in.
        "codec": (
            f"{ACTIVITIES}test_values_come_back_as_they_went_in",
            "unit/codec/test_payloads.py::test_seal_and_unseal",
        ),
        # Adapted: a role has the rights that it was granted on rows; nothing runs with those of others.
        "credentials": (
            f"{MESH}test_conformance_roles.py::test_a_role_with_rights_on_rows_runs_graphs_until_they_are_revoked",
            f"{MESH}test_safe_operation.py::test_no_setting_lets_a_role_read_a_stream",
        ),
        "cycle": (
            f"{ACTIVITIES}test_a_cycle_goes_round_in_new_dimensions",
            f"{ACTIVITIES}test_a_long_loop_is_cut_into_steps",
            f"{FLOWS}test_a_loop_through_an_error",
            f"{MESH}test_long_cycles.py::test_old_passes_are_forgotten",
        ),
        # A child that is asked for twice is one child; other errors reach its parent.
        "dispatch": (
            "faults/test_graph_commits.py::test_a_process_killed_at_every_commit_of_a_graph",
            f"{ACTIVITIES}test_a_child_whose_id_is_taken_is_an_error_of_the_await",
            f"{ROUTING}test_a_child_that_nothing_subscribes_to_is_an_error",
        ),
        "emit": (
            f"{MESH}test_conformance_interim.py::test_an_interim_state_is_published_before_the_end",
            f"{MESH}test_conformance_interim.py::test_a_parent_hears_202_and_then_200",
            f"{MESH}test_conformance_interim.py::test_a_persisted_job_is_done_for_its_callers_and_goes_on",
        ),
        "hook": (
            f"{MESH}test_conformance_signal_all.py::test_an_activity_signals_all",
            f"{MESH}test_patterns.py::test_a_pattern_hears_of_each_end_once",
        ),
        "hook-escalation": (
            f"{MESH}test_conformance_escalation.py::test_a_wait_writes_a_row_with_what_the_block_says",
            f"{MESH}test_conformance_escalation.py::test_no_block_no_row",
            f"{MESH}test_conformance_escalation.py::test_resolving_lets_the_job_go_on",
        ),
        "hook-timeout": (
            f"{SIGNALS}test_signal_and_timer_race_and_one_wins",
            f"{SIGNALS}test_a_signal_that_comes_after_the_timer_is_kept",
            f"{FLOWS}test_a_hook_without_a_sleep_waits_for_its_signal",
        ),
        "interrupt": (
            f"{ACTIVITIES}test_an_interrupt_ends_its_own_job",
            f"{ACTIVITIES}test_an_interrupt_ends_another_job_and_goes_on",
            f"{ACTIVITIES}test_interrupt_from_outside",
            f"{ACTIVITIES}test_an_interruption_descends",
            f"{FLOWS}test_an_interruption_after_a_redeployment",
        ),
        "parallel": (
            f"{ACTIVITIES}test_parallel_branches_share_a_semaphore",
            f"{FLOWS}test_two_apps_on_one_topic_do_not_mix",
        ),
        "sequence": (f"{FLOWS}test_a_sequence_hands_on_what_it_has",),
        "pending": (
            f"{MESH}test_conformance_pending.py::test_a_pending_job_waits_and_is_deleted",
            f"{MESH}test_conformance_pending.py::test_a_resumed_job_runs_as_any_other",
        ),
        "quorum": (
            f"{QUORUM}test_roll_call_lists_engines_and_workers",
            f"{QUORUM}test_messages_reach_every_process_whatever_their_size",
            f"{THROTTLE}test_a_pause_holds_those_it_names",
            f"{THROTTLE}test_one_consumer_of_several_is_paused",
            f"{THROTTLE}test_a_delay_lies_between_claims",
            f"{THROTTLE}test_throttles_outlive_processes_and_roll_call_shows_them",
            f"{THROTTLE}test_what_a_throttle_may_say",
            f"{MESH}test_quorum_back_pressure.py::test_profiles_say_what_has_been_done_and_where",
        ),
        "reclaim": (
            f"{CRASHES}test_a_worker_that_dies_before_its_answer_is_repeated_and_its_children_run_once",
            f"{CRASHES}test_a_late_answer_is_refused",
            f"{CRASHES}test_an_attempt_that_may_not_be_repeated_is_not",
        ),
        "redeploy": (
            f"{QUORUM}test_nine_versions_under_load_lose_no_job_and_mix_none",
            f"{VERSIONS}test_a_running_job_ends_on_its_own_version",
        ),
        # Adapted: functions are no graph of the engine's; what that graph did, they do.
        "reentrant": (
            "acceptance/test_fan_out.py::test_each_activity_of_a_gather_runs_once_and_in_order",
            "acceptance/test_signals.py::test_a_timeout_around_a_wait_loses_nothing",
            "acceptance/test_endings.py::test_a_childs_result_is_the_parents_value",
            "acceptance/test_workers.py::test_timers_of_runs_that_were_given_back_fire_when_they_are_due",
        ),
        "retry": (
            f"{FLOWS}test_a_calculator",
            f"{FLOWS}test_a_short_wait_and_a_longer_one",
            f"{FLOWS}test_subscribers_come_and_go",
            f"{ACTIVITIES}test_what_a_callback_raises_is_tried_again",
            f"{ACTIVITIES}test_a_retry_may_succeed",
        ),
        "retry-policy": (
            f"{FLOWS}test_a_policy_stands_in_the_columns_of_its_message",
            f"{FLOWS}test_policies_of_activity_and_worker_are_mixed",
            f"{ACTIVITIES}test_the_policy_in_force_stands_in_the_columns",
            f"{ROUTING}test_retries_by_code",
            "unit/protocol/test_retry.py::test_delays",
        ),
        "signal": (
            f"{MESH}test_conformance_interim.py::test_few_open_branches_end_the_job",
            f"{MESH}test_conformance_interim.py::test_more_open_branches_let_it_run",
            f"{SIGNALS}test_a_signal_activity_signals_another_job",
            f"{SIGNALS}test_202_keeps_a_hook_open",
            f"{SIGNALS}test_an_early_signal_is_kept",
            f"{MESH}test_conformance_signal_all.py::test_jobs_that_do_not_wait_yet_get_it_when_they_do",
        ),
        "signal-race": (
            f"{CRASHES}test_a_signal_waits_for_a_waiter_that_is_being_written",
            f"{SIGNALS}test_a_hundred_signals_race_with_their_waiters",
        ),
        "status": (
            f"{ACTIVITIES}test_codes_choose_the_way",
            f"{ACTIVITIES}test_202_keeps_a_worker_open_and_each_answer_has_a_dimension",
            f"{ROUTING}test_each_code_of_a_list_leads_its_way",
            f"{ROUTING}test_a_code_without_a_way_ends_the_job",
        ),
        # Adapted: state, ids and waiters are rows of tables of their own.
        "store": (
            f"{MESH}test_stored_jobs.py::test_get_raw_gives_a_job_field_by_field",
            f"{MESH}test_stored_jobs.py::test_scrub_removes_an_ended_job_and_frees_its_id",
            f"{MESH}test_conformance_wildcards.py::test_attributes_and_markers_are_asked_for_by_name",
            f"{SIGNALS}test_a_hundred_signals_race_with_their_waiters",
            f"{VERSIONS}test_concurrent_deployments_agree",
        ),
        # Adapted: claims, fences, priorities and dead letters instead of acknowledgements and groups.
        "stream": (
            f"{FLOWS}test_what_goes_on_comes_before_what_begins",
            f"{CRASHES}test_a_late_answer_is_refused",
            f"{CRASHES}test_an_interrupted_jobs_worker_is_refused_and_not_tried_again",
            f"{CRASHES}test_a_message_that_cannot_be_applied_stands_aside_and_its_job_fails",
            "integration/test_plans.py::test_no_hot_statement_scans_a_table",
        ),
        "sub": (
            f"{VERSIONS}test_subscribers_hear_of_every_end_once",
            f"{FLOWS}test_subscribers_come_and_go",
            f"{MESH}test_patterns.py::test_a_pattern_hears_of_each_end_once",
        ),
    }
)


def test_every_area_has_a_test() -> None:
    """Every area has tests, and each of them exists."""
    assert len(SHOWN) == 26
    assert all(SHOWN.values())
    assert missing(SHOWN) == []

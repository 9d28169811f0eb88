# ruff: noqa: E501 - names of tests are wider than code
"""Known defects of engines of this kind, and the tests that try to provoke each of them here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.integration.hotmesh.shown import missing

EXECUTION = "integration/hotmesh/test_correct_execution.py::"
OPERATION = "integration/hotmesh/test_safe_operation.py::"
MESH = "integration/hotmesh/"

SHOWN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # Parallel fast activities are executed again, and return wrong values.
        "C1": (
            f"{EXECUTION}test_parallel_activities_run_once_and_keep_their_values",
            "acceptance/test_fan_out.py::test_each_activity_of_a_gather_runs_once_and_in_order",
        ),
        # No more than 25 parallel items.
        "C2": (
            f"{EXECUTION}test_parallel_activities_run_once_and_keep_their_values",
            f"{MESH}test_conformance_wildcards.py::test_slots_are_written_one_by_one_and_without_a_bound",
            "acceptance/test_fan_out.py::test_each_activity_of_a_gather_runs_once_and_in_order",
        ),
        # What follows an answer is spawned again when a worker dies between answer and acknowledgement.
        "C3": (
            "faults/test_graph_commits.py::test_a_process_killed_at_every_commit_of_a_graph",
            f"{MESH}test_crashes.py::test_a_worker_that_dies_before_its_answer_is_repeated_and_its_children_run_once",
            f"{MESH}test_crashes.py::test_a_crash_at_any_statement_changes_nothing",
            "faults/test_commit_points.py::test_a_worker_killed_around_each_kind_of_commit",
        ),
        # An answer that cannot be published is acknowledged all the same, and lost.
        "C4": (
            f"{EXECUTION}test_an_answer_that_cannot_be_published_is_not_lost",
            f"{EXECUTION}test_an_answer_that_is_refused_for_good_fails_its_job",
        ),
        # A wait is registered under the first rule of its topic, and never ends.
        "C5": (f"{EXECUTION}test_every_rule_of_a_topic_counts",),
        # One slot per signal id: waiters and early signals overwrite each other.
        "C6": (
            f"{EXECUTION}test_waiters_of_one_key_stand_in_line",
            f"{MESH}test_signals.py::test_an_early_signal_is_kept",
            "acceptance/test_signals.py::test_signals_that_come_before_any_worker_are_received",
            "acceptance/test_signals.py::test_none_of_many_is_lost_or_doubled_and_their_order_is_kept",
        ),
        # A cancellation is ignored, or not delivered to who sleeps or waits.
        "C7": (
            "acceptance/test_endings.py::test_a_cancelled_run_cleans_up_and_ends_as_cancelled",
            "acceptance/test_endings.py::test_a_run_that_no_worker_has_seen_can_be_cancelled",
            "acceptance/test_endings.py::test_a_child_is_cancelled_when_its_parents_wait_is",
            f"{MESH}test_activities.py::test_an_interrupt_ends_another_job_and_goes_on",
        ),
        # An id cannot be used again after its job has expired.
        "C8": (
            f"{MESH}test_conformance_retention.py::test_an_id_is_free_when_its_job_has_expired",
            f"{MESH}test_versions.py::test_an_id_is_taken_while_its_job_runs_and_until_it_expires",
            "acceptance/test_clients.py::test_an_ended_id_is_free_unless_the_policy_says_no",
        ),
        # Strings that begin like a type's prefix are corrupted, empty ones vanish.
        "C9": (
            f"{MESH}test_activities.py::test_values_come_back_as_they_went_in",
            "unit/codec/test_round_trips.py::test_fitting_values_come_back",
        ),
        # Large values of several bytes a character break a notification, and with it unrelated work.
        "C10": (
            f"{MESH}test_activities.py::test_values_come_back_as_they_went_in",
            f"{MESH}test_quorum.py::test_messages_reach_every_process_whatever_their_size",
            f"{MESH}test_crashes.py::test_a_message_that_cannot_be_applied_stands_aside_and_its_job_fails",
            "integration/test_committer.py::test_a_payload_that_postgres_refuses_takes_no_other_down",
        ),
        # A policy that says the default counts as none.
        "C11": (
            f"{EXECUTION}test_a_policy_that_says_the_default_is_a_policy",
            f"{MESH}test_activities.py::test_the_policy_in_force_stands_in_the_columns",
        ),
        # Timeouts and policies are ignored on some ways to give them; timed-out code runs on.
        "C12": (
            "acceptance/test_retries.py::test_a_slow_attempt_is_cancelled_and_tried_again",
            "acceptance/test_retries.py::test_the_whole_step_has_a_limit_too",
            "acceptance/test_retries.py::test_each_attempt_is_a_row_that_shows_the_policy_in_force",
            f"{MESH}test_conformance_flows.py::test_a_policy_stands_in_the_columns_of_its_message",
        ),
        # Code that no longer fits its history gets wrong results in silence.
        "C13": (
            "acceptance/test_changed_code.py::test_changed_code_suspends_the_run_and_says_where",
            "unit/replay/test_mismatch.py::test_the_step_what_was_recorded_what_came_and_where_are_told",
        ),
        # Random numbers are the same in every workflow.
        "C14": ("unit/replay/test_loop.py::test_many_runs_share_a_process",),
        # A deployment changes what runs, or is live before it is activated.
        "C15": (
            f"{MESH}test_versions.py::test_nothing_runs_before_activation",
            f"{MESH}test_versions.py::test_a_running_job_ends_on_its_own_version",
            f"{MESH}test_quorum.py::test_nine_versions_under_load_lose_no_job_and_mix_none",
        ),
        # A bad document is deployed all the same, and the error is swallowed.
        "C16": (
            f"{MESH}test_versions.py::test_a_document_that_does_not_hold_together_is_not_stored",
            "unit/descriptor/test_validation.py::test_all_findings_come_at_once_in_order",
        ),
        # The tenth delivery of a message is refused; a skipped activity runs all the same.
        "C17": (
            f"{EXECUTION}test_the_twelfth_delivery_is_as_good_as_the_first",
            f"{MESH}test_conformance_interim.py::test_few_open_branches_end_the_job",
        ),
        # An option that says its default does something else than leaving it out.
        "C18": (
            f"{EXECUTION}test_saying_the_default_changes_nothing",
            "unit/descriptor/test_document.py::test_a_hash_is_eight_hex_digits_of_the_content",
        ),
        # What a function starts has ids that a replay does not know; its errors are swallowed.
        "C19": (
            "acceptance/test_endings.py::test_a_childs_result_is_the_parents_value",
            "acceptance/test_endings.py::test_a_childs_id_that_is_taken_is_the_childs_failure",
            "faults/test_commit_points.py::test_a_worker_killed_around_each_kind_of_commit",
        ),
        # Long histories are cut off in silence.
        "C20": ("integration/test_long_histories.py::test_no_fact_of_a_long_history_is_left_out",),
        # A timer is disarmed in every dimension of its activity.
        "C21": (f"{EXECUTION}test_a_signal_disarms_its_own_timer_only",),
        # Of a topic with colons only the last part counts.
        "C22": (f"{MESH}test_conformance_routing.py::test_topics_with_colons_are_whole",),
        # A caller that dies while it starts a job leaves half of one, and its id burnt.
        "C23": (
            f"{MESH}test_conformance_routing.py::test_a_status_that_was_asked_for_is_there_at_once",
            f"{MESH}test_crashes.py::test_a_crash_at_any_statement_changes_nothing",
            "integration/test_inboxes.py::test_a_start_whose_answer_is_lost_starts_one_run",
        ),
        # The result of a wait is written when the wait begins.
        "C24": (
            f"{MESH}test_activities.py::test_maps_of_a_sleeping_hook_wait_for_its_end",
            "faults/test_graph_commits.py::test_a_process_killed_at_every_commit_of_a_graph",
        ),
        # Writes that have no place to go to are dropped in silence.
        "C25": (f"{MESH}test_conformance_wildcards.py::test_a_wildcard_needs_an_object",),
        # Activities of another queue can be called only where they are registered.
        "C26": (
            "acceptance/test_workers.py::test_an_activity_on_another_queue_runs_on_that_queues_worker",
        ),
        # A lost connection ends the process.
        "O1": (
            f"{OPERATION}test_a_mesh_comes_back_when_its_connections_are_cut",
            "faults/test_connections.py::test_cutting_any_connection_costs_no_step",
            "faults/test_restart.py::test_a_restart_under_load_costs_no_attempt_and_no_member",
        ),
        # Throttle and pause are shown, and do nothing.
        "O2": (
            f"{MESH}test_quorum_throttle.py::test_a_pause_holds_those_it_names",
            f"{MESH}test_quorum_throttle.py::test_a_delay_lies_between_claims",
            f"{MESH}test_quorum_back_pressure.py::test_engines_and_workers_of_all_processes_rest_and_roll_call_shows_it",
        ),
        # A pause strands what was claimed until its lease is over.
        "O3": (
            f"{MESH}test_quorum_throttle.py::test_a_pause_in_a_backlog_holds_everything_and_strands_nothing",
        ),
        # A worker runs all there is at once, and starves the others.
        "O4": (
            f"{OPERATION}test_a_worker_runs_no_more_at_once_than_it_may",
            "acceptance/test_fan_out.py::test_no_more_activities_run_at_once_than_the_worker_allows",
        ),
        # An engine that is to be readonly consumes.
        "O5": (f"{OPERATION}test_a_readonly_engine_moves_nothing",),
        # Of two databases in one process, the second is never served.
        "O6": (f"{OPERATION}test_one_process_serves_the_same_app_in_two_databases",),
        # A worker's role may widen its own rights.
        "O7": (f"{OPERATION}test_no_setting_lets_a_role_read_a_stream",),
        # Nothing is pruned by itself, or not in batches.
        "O8": (
            f"{MESH}test_conformance_retention.py::test_an_engine_prunes_by_itself",
            f"{MESH}test_conformance_retention.py::test_expired_jobs_leave_with_all_they_have",
            f"{MESH}test_conformance_retention.py::test_pruning_goes_in_batches",
            "integration/test_retention.py::test_a_hundred_thousand_runs_go_in_bounded_batches",
        ),
        # Every start of a process changes the schema, and needs the right to.
        "O9": (
            "integration/test_migrations.py::test_who_may_not_create_works_in_a_schema_that_is_there",
            "integration/test_migrations.py::test_ten_who_connect_at_once_apply_each_migration_once",
        ),
        # No way to list and describe; a result that is waited for without end, or late.
        "O10": (
            "acceptance/test_clients.py::test_runs_are_listed_and_counted_by_what_they_are",
            "acceptance/test_clients.py::test_describe_tells_what_a_run_is_and_does",
            "acceptance/test_clients.py::test_a_result_is_waited_for_no_longer_than_wanted",
            "acceptance/test_workers.py::test_lost_notifications_cost_seconds_and_nothing_else",
        ),
        # A codec that encrypts a part, and leaves the rest in plain text.
        "O11": (
            f"{OPERATION}test_nothing_claims_to_encrypt_a_part",
            "unit/codec/test_payloads.py::test_unsealed_text_is_refused",
        ),
        # Names become parts of SQL text.
        "O12": (
            f"{OPERATION}test_names_are_never_part_of_sql",
            "integration/test_migrations.py::test_a_namespace_is_an_identifier_or_refused",
            "unit/test_house.py::test_no_sql_in_python_and_no_global",
        ),
        # One process, one of everything.
        "O13": (
            f"{OPERATION}test_one_process_serves_the_same_app_in_two_databases",
            "unit/replay/test_loop.py::test_many_runs_share_a_process",
            "unit/test_house.py::test_no_sql_in_python_and_no_global",
        ),
    }
)


def test_every_known_defect_has_a_test() -> None:
    """The table has C1 to C26 and O1 to O13, each with tests that exist."""
    wanted = [f"C{n}" for n in range(1, 27)] + [f"O{n}" for n in range(1, 14)]
    assert list(SHOWN) == wanted
    assert all(SHOWN.values())
    assert missing(SHOWN) == []

"""Which tests run one after another on one worker, and which groups start first?

`make test` gives groups to workers (pytest-xdist): whoever is free takes the next one. A group is a
file, so its servers and other fixtures are made once; a stack of the conformance corpus, and an
operation of the fault matrix, is a group of its own; and so are the tests that fill disks, kill and
load the machine with processes, and those of agents that follow many files: they never run beside
others of their kind. What takes longest starts first.
"""

from xdist.scheduler import LoadScopeScheduling

CLOCKED = "processes"
"""The group of real processes under load: one worker, one test at a time."""

CLOCKED_PATHS = ("tests/faults/",)

AGENTS = "agents"
"""The group of agents that follow files under load, and of the demo; they wait for conditions."""

AGENTS_PATHS = (
    "tests/examples/",
    "tests/promtail_agent/test_agent.py",
    "tests/promtail_agent/test_delivery.py",
)

SERVED = "one server"
"""The group of those that ask the server of `tests/served.py`: it runs in one worker only."""

SERVED_PATHS = (
    "tests/api/test_cli.py",
    "tests/api/test_deletes.py",
    "tests/api/test_explain.py",
    "tests/api/test_grafana_contract.py",
    "tests/api/test_request_errors.py",
    "tests/api/test_tail.py",
    "tests/clients/",
)

PAGE = "the page"
"""The group of those that ask a browser: one server and one browser for all of them."""

PAGE_PATHS = ("tests/ui/",)

CONFORMANCE = "tests/conformance/test_conformance.py"
MATRIX = "tests/matrix/test_every_call.py"
BY_FIRST_WORD = (CONFORMANCE, MATRIX)
"""Files that are a group for each first word of their parameters: a stack, an operation."""

FORKED_PATHS = (
    "tests/api/",
    "tests/cli/",
    "tests/clients/test_",
    "tests/conformance/",
    "tests/deploy/test_alerts_at_work.py",
    "tests/deploy/test_compose_at_work.py",
    "tests/deploy/test_roles_at_work.py",
    "tests/examples/",
    "tests/faults/test_agent_soak.py",
    "tests/faults/test_disk_fills.py",
    "tests/faults/test_each_part.py",
    "tests/faults/test_full_disk.py",
    "tests/faults/test_night.py",
    "tests/faults/test_upkeep_meanwhile.py",
    "tests/history/",
    "tests/hostile/",
    "tests/packs/test_",
    "tests/promtail_agent/targets/test_stdin.py",
    "tests/promtail_agent/test_flags.py",
    "tests/promtail_agent/test_process.py",
    "tests/ruler/",
    "tests/server/test_audit.py",
    "tests/server/test_browsers.py",
    "tests/server/test_canary.py",
    "tests/server/test_cluster.py",
    "tests/server/test_damaged_files.py",
    "tests/server/test_far_storage.py",
    "tests/server/test_log.py",
    "tests/server/test_metrics.py",
    "tests/server/test_policies.py",
    "tests/server/test_process.py",
    "tests/server/test_reload.py",
    "tests/server/test_rulers.py",
    "tests/server/test_runbooks.py",
    "tests/server/test_sessions.py",
    "tests/server/test_sign_in.py",
    "tests/server/test_stopping.py",
    "tests/server/test_tls.py",
    "tests/storage/vault/test_rebuild_database.py",
    "tests/ui/",
)
"""Tests whose servers and commands are forks of a process that has everything loaded
(`tests/servers/forking.py`); `NARFI_TEST_FORK=0` starts each of them anew."""

FIRST = (
    CLOCKED,
    PAGE,
    SERVED,
    AGENTS,
    "tests/server/test_cluster.py",
    "tests/server/test_far_storage.py",
    "tests/history/test_import_at_work.py",
    f"{CONFORMANCE} blocks",
    f"{CONFORMANCE} plain",
    f"{CONFORMANCE} head",
    f"{CONFORMANCE} replayed",
    "tests/ingester/test_machine.py",
    "tests/deploy/test_alerts_at_work.py",
    "tests/server/test_first_start.py",
    "tests/server/test_runbooks.py",
    "tests/hostile/test_hostile.py",
    "tests/querier/executors/test_processes.py",
    "tests/server/test_wheel.py",
    "tests/server/test_scan_processes.py",
    "tests/upkeep/test_merge_memory.py",
    "tests/api/test_extreme_numbers.py",
    "tests/deploy/test_image.py",
    "tests/ruler/test_process.py",
    "tests/packs/test_shipped.py",
    "tests/upkeep/test_far_merges.py",
    "tests/promtail_agent/test_kills.py",
    f"{MATRIX} flush",
    f"{MATRIX} delete",
    f"{MATRIX} backup",
    f"{MATRIX} restore",
    f"{MATRIX} compaction",
    "tests/ingester/test_threads.py",
    "tests/upkeep/test_crash.py",
    "tests/server/test_damaged_files.py",
    "tests/core/kernels/test_shape_match.py",
    "tests/core/kernels/test_shape_scan.py",
    "tests/querier/executors/test_leaf.py",
    "tests/server/test_tls.py",
    "tests/packs/test_commands.py",
    "tests/ingester/test_adoption.py",
    "tests/upkeep/test_deletes.py",
    "tests/deploy/test_roles_at_work.py",
    "tests/storage/vault/test_rebuild_database.py",
    "tests/api/test_hidden.py",
    "tests/server/test_process.py",
    "tests/promtail_agent/test_process.py",
    "tests/querier/test_engine.py",
    "tests/server/test_start_imports.py",
    "tests/server/test_rulers.py",
    "tests/server/test_stopping.py",
    "tests/server/test_rehearsal.py",
    "tests/api/test_sql.py",
    "tests/logql/test_fuzz.py",
)
"""Groups of ten seconds and more, longest first; the others follow as they were collected."""

_RANKS = {group: rank for rank, group in enumerate(FIRST)}


def group_of(nodeid: str) -> str:
    """The name of the group that a test belongs to."""
    path, _, name = nodeid.partition("::")
    if path.startswith(CLOCKED_PATHS):
        return CLOCKED
    if path.startswith(AGENTS_PATHS):
        return AGENTS
    if path.startswith(SERVED_PATHS):
        return SERVED
    if path.startswith(PAGE_PATHS):
        return PAGE
    if path in BY_FIRST_WORD and "[" in name:
        return f"{path} {name.partition('[')[2].partition('-')[0]}"
    return path


def rank_of(nodeid: str) -> int:
    """The place of a test's group among those that start first."""
    return _RANKS.get(group_of(nodeid), len(FIRST))


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Gives whole groups to workers, in the order in which the tests come."""

    def _split_scope(self, nodeid: str) -> str:
        """The unit of work of a test."""
        return group_of(nodeid)

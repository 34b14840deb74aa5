"""Do files and functions keep the sizes that a stranger can read? docs/testing.md, "Tidiness"."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("narfi", "logql", "storage", "ingester", "querier", "ruler", "upkeep", "promtail_agent")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
MAX_POSITIONAL = 4
"""More arguments of a constructor are named where it is called: types do not tell them apart."""

POSITIONAL = {
    # One of each line that the agent reads: naming seven arguments doubles the time to make it.
    "AgentEntry",
    # A tuple, in the order of a calendar.
    "Civil",
}

TOO_LONG = {
    # Tables and scanners written for the compiler; calls between kernels cost what they would save.
    "narfi/core/kernels/json_path.py",
    "narfi/core/kernels/json_scan.py",
    "narfi/core/kernels/json_wanted.py",
    "narfi/core/kernels/logfmt_scan.py",
    "narfi/core/kernels/shape_scan.py",
    "narfi/core/kernels/shape_values.py",
    "narfi/core/kernels/unpack_scan.py",
}


def _files() -> list[str]:
    """Tracked and new Python files of the parts."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split() or [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.py")]
    return [n for n in names if n.split("/")[0] in PARTS and "/gen/" not in n]


FILES = sorted(f for f in _files() if (ROOT / f).exists())


def test_there_are_files() -> None:
    assert len(FILES) > 200


@pytest.mark.parametrize("name", FILES)
def test_sizes_and_docstrings(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip(), "a module says what it answers"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"class {node.name} has no docstring"
    if name in TOO_LONG:
        return
    assert text.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("name", FILES)
def test_long_constructors_take_names(name: str) -> None:
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name not in POSITIONAL:
            count = _positional(node)
            assert count <= MAX_POSITIONAL, f"{node.name}: kw_only for {count} arguments"


def _positional(node: ast.ClassDef) -> int:
    """How many arguments its constructor takes by place."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return len(member.args.posonlyargs) + len(member.args.args) - 1
    made = [ast.unparse(d) for d in node.decorator_list] + [ast.unparse(b) for b in node.bases]
    if not any(d.startswith("dataclass") or d == "NamedTuple" for d in made):
        return 0
    if any("kw_only=True" in d for d in made):
        return 0
    fields = [f for f in node.body if isinstance(f, ast.AnnAssign)]
    return sum("ClassVar" not in ast.unparse(f.annotation) for f in fields)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("class A:\n a: int\n b: int", 0),
        ("@dataclass\nclass A:\n a: int\n b: ClassVar[int]\n c: int = 3", 2),
        ("@dataclass(slots=True, kw_only=True)\nclass A:\n a: int", 0),
        ("class A(NamedTuple):\n a: int\n b: int", 2),
        ("@dataclass\nclass A:\n a: int\n def __init__(self, x, y, *, z): ...", 2),
    ],
)
def test_arguments_by_place_are_counted(text: str, count: int) -> None:
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.ClassDef)
    assert _positional(node) == count


MIRRORED = ("ingester/", "storage/")
TESTED_BY = {
    # Servers: what they answer is tested over the wire.
    "ingester/grpc_api/otlp.py": "tests/server/test_grpc_server.py",
    "ingester/grpc_api/servicer.py": "tests/server/test_grpc_server.py",
    "ingester/grpc_api/heads.py": "tests/querier/grpc_api/test_heads_client.py",
    "ingester/http_api/otlp.py": "tests/api/test_push.py",
    "ingester/http_api/push.py": "tests/api/test_push.py",
    # Counters: a server shows them.
    "storage/catalog/metrics.py": "tests/server/test_metrics.py",
    "storage/journal/metrics.py": "tests/server/test_metrics.py",
    "storage/objects/metrics.py": "tests/server/test_metrics.py",
    # What makes far stores from URLs.
    "storage/objects/bucket.py": "tests/storage/objects/test_places.py",
    # Kinds of errors and their texts.
    "ingester/errors.py": "tests/ingester/test_service.py",
    # Protocols, limits and names: what implements or keeps them is tested.
    "storage/block/layout.py": "tests/storage/block/test_format_versions.py",
    "storage/block/metrics.py": "tests/storage/block/shapes/test_encode.py",
    "storage/block/shapes/matched.py": "tests/storage/block/shapes/test_warm.py",
    "storage/lines/texts.py": "tests/storage/lines/test_composed.py",
    # Parts of lines of one shape, and of many.
    "storage/lines/matching.py": "tests/storage/lines/test_shaped.py",
    "storage/lines/shape_set.py": "tests/storage/lines/test_mixed.py",
    "storage/lines/shared_column.py": "tests/storage/lines/test_mixed.py",
    "storage/catalog/base.py": "tests/storage/catalog/test_sql.py",
    "storage/catalog/tables.py": "tests/storage/catalog/test_sql.py",
    "storage/journal/base.py": "tests/storage/journal/test_file.py",
    "storage/lines/base.py": "tests/storage/lines/test_shaped.py",
    "storage/objects/base.py": "tests/storage/objects/test_behaviour.py",
    "storage/scan.py": "tests/storage/test_sources.py",
    # Bytes between processes, and of the journal: what writes and reads them is tested.
    "storage/batch_bytes.py": "tests/ingester/test_records.py",
    "storage/head_exchange.py": "tests/querier/grpc_api/test_heads_client.py",
    "storage/journal/absent.py": "tests/server/test_cluster.py",
    # Steps of one block: it is written, read, merged, damaged, and must say the same.
    "storage/block/check.py": "tests/storage/block/test_quarantine.py",
    "storage/block/choosing.py": "tests/storage/test_sources.py",
    "storage/block/draft.py": "tests/storage/block/test_merge.py",
    "storage/block/describe.py": "tests/storage/block/test_format_versions.py",
    "storage/block/dump.py": "tests/storage/block/test_format_versions.py",
    "storage/block/files.py": "tests/storage/test_sources.py",
    "storage/block/format3/access.py": "tests/storage/block/format3/test_small_object.py",
    "storage/block/format3/reading.py": "tests/storage/test_sources.py",
    "storage/block/format3/rows_reading.py": "tests/storage/block/test_damage.py",
    "storage/block/folders.py": "tests/storage/vault/test_repair.py",
    "storage/block/footer.py": "tests/storage/block/test_damage.py",
    "storage/block/metadata.py": "tests/storage/test_metadata.py",
    "storage/block/opening.py": "tests/storage/block/test_damage.py",
    "storage/block/order.py": "tests/storage/block/test_merge.py",
    "storage/block/prune.py": "tests/storage/block/test_bloom.py",
    "storage/block/reader.py": "tests/storage/test_sources.py",
    "storage/block/format3/family_file.py": "tests/storage/block/test_shape_file.py",
    "storage/block/format3/writer.py": "tests/storage/block/test_shape_file.py",
    "storage/block/hole_columns.py": "tests/storage/block/test_shape_file.py",
    "storage/block/identity.py": "tests/storage/block/test_manifest.py",
    "storage/block/merge_families.py": "tests/storage/block/test_merge.py",
    "storage/block/merge_rows.py": "tests/storage/block/test_merge.py",
    "storage/block/shapes/cells.py": "tests/core/kernels/test_shape_cells.py",
    "storage/block/shapes/columns.py": "tests/storage/block/shapes/test_families.py",
    "storage/block/shapes/cut.py": "tests/core/kernels/test_shape_scan.py",
    "storage/block/shapes/infer.py": "tests/storage/block/shapes/test_encode.py",
    "storage/block/shapes/family_check.py": "tests/storage/block/shapes/test_families.py",
    "storage/block/shapes/layouts.py": "tests/storage/block/shapes/test_families.py",
    "storage/block/shapes/run.py": "tests/storage/block/shapes/test_warm.py",
    "storage/block/rewriting.py": "tests/upkeep/test_far_merges.py",
    "storage/block/streams.py": "tests/storage/test_stream_labels.py",
    "storage/block/writer.py": "tests/storage/test_sources.py",
    "storage/memory_source.py": "tests/storage/test_sources.py",
    "storage/cache.py": "tests/querier/reading/test_reading.py",
    # Lines of a shape are asked as plain ones are.
    "storage/lines/contains.py": "tests/storage/lines/test_literals.py",
    "storage/lines/decode.py": "tests/storage/lines/test_shaped.py",
    "storage/lines/plain.py": "tests/storage/lines/test_shaped.py",
    "storage/lines/template.py": "tests/storage/lines/test_holes.py",
    # Statements of one database: its rules are those of the catalog.
    "storage/catalog/copy.py": "tests/storage/vault/test_backup.py",
    "storage/catalog/database_time.py": "tests/storage/catalog/test_leases.py",
    "storage/catalog/rule_keys.py": "tests/storage/catalog/test_rule_claims.py",
    "storage/catalog/database.py": "tests/storage/catalog/test_sql.py",
    "storage/catalog/life.py": "tests/storage/catalog/test_races.py",
    "storage/catalog/schema.py": "tests/cli/test_doctor.py",
    "storage/catalog/snapshot.py": "tests/storage/vault/test_verify.py",
    "storage/catalog/transfer.py": "tests/storage/vault/test_restore_far.py",
    # Bytes of one journal: written by `file.py`, read by `replay.py`.
    "storage/journal/stored_record.py": "tests/storage/journal/test_replay.py",
    "storage/journal/lock.py": "tests/storage/journal/test_file.py",
    "storage/journal/mark.py": "tests/storage/journal/test_replay.py",
    "storage/journal/reading.py": "tests/storage/journal/test_replay.py",
    "storage/journal/segment.py": "tests/storage/journal/test_replay.py",
    # A disk, and what makes it fail in tests.
    "storage/disk.py": "tests/storage/objects/test_filesystem.py",
    "storage/objects/piece_file.py": "tests/storage/objects/test_disk_cache.py",
    "storage/plain_file.py": "tests/storage/vault/test_backup.py",
    "storage/objects/faulty.py": "tests/storage/test_store.py",
    "storage/known.py": "tests/storage/vault/test_rebuild.py",
    # What the commands on a data folder share.
    "storage/vault/data_dir.py": "tests/storage/vault/test_restore.py",
    "storage/vault/database.py": "tests/storage/vault/test_repair_of_a_cluster.py",
    "storage/vault/last_backup.py": "tests/server/test_state.py",
    "storage/vault/places.py": "tests/storage/vault/test_backup.py",
    "storage/vault/record.py": "tests/storage/vault/test_backup.py",
    "storage/vault/report.py": "tests/storage/vault/test_verify.py",
    "storage/vault/restored_places.py": "tests/storage/vault/test_restore_far.py",
    "storage/vault/survey.py": "tests/storage/vault/test_verify.py",
    "storage/vault/verify_journal.py": "tests/storage/vault/test_verify.py",
}
"""Modules without a test file of their own name, and where their rule is tested."""


@pytest.mark.parametrize("name", [f for f in FILES if f.startswith(MIRRORED)])
def test_the_write_path_is_mirrored(name: str) -> None:
    path = Path(name)
    if path.name == "__init__.py" or "migrations" in path.parts:
        return
    own = ROOT / "tests" / path.parent / f"test_{path.name}"
    if name in TESTED_BY:
        assert not own.exists(), "leave it out of TESTED_BY"
        assert (ROOT / TESTED_BY[name]).exists()
    else:
        assert own.exists(), f"{own.relative_to(ROOT)} tests its rule, or TESTED_BY says who does"


def test_only_modules_are_excused() -> None:
    assert [name for name in TESTED_BY if name not in FILES] == []


def test_no_module_is_called_utils() -> None:
    bad = [f for f in FILES if Path(f).stem in ("utils", "helpers", "common", "misc")]
    assert bad == []


USERS_OF_RE = {
    "narfi/history/files/folders.py",
    "narfi/history/files/moments.py",
    "narfi/history/loki/asking.py",
    "narfi/history/loki/crowded.py",
    # Fixed patterns of our own over one line or one word; never a pattern that somebody sent.
    "narfi/cli/go_flags.py",
    "narfi/access/secret.py",
    "narfi/core/log.py",
    "narfi/core/log_text.py",
    "ingester/admit.py",
    "ingester/label_text.py",
    "ingester/otlp/json_body.py",
    "narfi/core/text/ansi.py",
    "narfi/core/text/logfmt_key.py",
    "narfi/core/text/masks.py",
    "narfi/core/text/template/casts.py",
    "narfi/core/text/template/layouts.py",
    "narfi/core/text/template/value_functions.py",
    "narfi/core/units.py",
    "narfi/server/app.py",
    "promtail_agent/discovery/kubernetes_pods.py",
    "promtail_agent/durations.py",
    "promtail_agent/go_json.py",
    "promtail_agent/stages/eventlogmessage.py",
    "promtail_agent/stages/json.py",
    "promtail_agent/stages/labels.py",
    "promtail_agent/stages/logfmt.py",
    "promtail_agent/stages/metrics.py",
    "promtail_agent/targets/journal.py",
    "promtail_agent/targets/syslog_framing.py",
    "promtail_agent/targets/rotation.py",
    "promtail_agent/targets/syslog_messages.py",
    "promtail_agent/times.py",
    "querier/http_api/params.py",
    "querier/explore/kinds.py",
    "querier/explore/line_fields.py",
    "querier/http_api/requests.py",
    "querier/explore/pattern_merge.py",
    "storage/block/shapes/infer.py",
    "storage/lines/template.py",
}


def test_user_patterns_run_in_re2_only() -> None:
    """A file that imports `re` is on the list; all others use `narfi.core.regex`."""
    users = set()
    for name in FILES:
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import) and any(alias.name == "re" for alias in node.names):
                users.add(name)
            if isinstance(node, ast.ImportFrom) and node.module == "re":
                users.add(name)
    assert users <= USERS_OF_RE

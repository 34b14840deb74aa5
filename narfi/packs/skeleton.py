"""What does a new pack begin with? A manifest, a format, a sample, questions, a page to fill in."""

from collections.abc import Sequence
from pathlib import Path

from narfi.packs.stage_draft import StageDraft
from promtail_agent.packs.whole import yaml_text

SAMPLE_LINES = 50

_README = """# {title}

Where the logs are: …

```
narfi packs test ./{name}
narfi packs render ./{name}
narfi packs apply ./{name}
```

What one sees: …

What to change in the system: …
"""
_QUERIES = """- title: Newest lines
  question: What is said?
  kind: logs
  query: '{$selector}'
- title: Lines by level
  question: How much is said, and how bad is it?
  kind: series
  query: 'sum by (detected_level) (count_over_time({$selector}[$__auto]))'
"""


def write_pack(folder: Path, draft: StageDraft, component: str, lines: Sequence[bytes]) -> None:
    """Make the folder of a pack for one component."""
    name = "".join(c if c.isalnum() else "-" for c in folder.name.lower()).strip("-")
    (folder / "stages").mkdir(parents=True)
    (folder / "samples").mkdir()
    word = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in component)
    manifest = {
        "name": name,
        "title": name,
        "version": 1,
        "match": [{"kubernetes": {"app.kubernetes.io/name": name}}],
        "streams": [{"component": [word, "*"], "format": name}],
        "fields": dict.fromkeys(draft.fields, "text"),
        "variables": {"selector": f'service_name=~"{name}.*"'},
        "max_streams": 1,
    }
    _write(folder / "pack.yaml", yaml_text(manifest))
    _write(folder / "stages" / f"{name}.yaml", yaml_text(draft.stages))
    _write(folder / "queries.yaml", _QUERIES)
    _write(folder / "README.md", _README.format(title=name, name=folder.name))
    kept = b"\n".join(lines[:SAMPLE_LINES]) + b"\n"
    (folder / "samples" / f"{word}.log").write_bytes(kept)


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")

"""Do settings mean what is written, and are mistakes told?"""

from pathlib import Path

import pytest

from narfi.core.retention import DAY_NS, StreamRetention
from narfi.core.settings import SettingsError, limits_of, load_settings, min_free_bytes
from narfi.core.tenant import TenantId

RETENTION = """
limits:
  retention_period: 30d
  retention_stream:
    - {selector: '{app="debug"}', priority: 1, period: 48h}
overrides:
  own-list: {retention_stream: [{selector: '{app="x"}', period: 1d}]}
  own-period: {retention_period: 2d}
"""


@pytest.mark.parametrize(
    ("text", "disk", "found"),
    [
        ("0", 1000, 0),
        ("512MB", 10**12, 512 * 2**20),
        ("5%", 1000, 50),
        ("0.5%", 1000, 5),
        ("512MB,5%", 10**12, 512 * 2**20),
        ("512MB, 5%", 2**30, 2**30 * 5 // 100),
        ("2TB", 1, 2**41),
    ],
)
def test_free_space_is_the_smallest_of_sizes_and_shares(text: str, disk: int, found: int) -> None:
    assert min_free_bytes(text, disk) == found


@pytest.mark.parametrize("text", ["x", "5 %%", "100%", "-1", "512MB,", "%"])
def test_what_is_no_free_space(text: str) -> None:
    with pytest.raises(SettingsError, match="min_free_disk"):
        load_settings(None, {"NARFI_COMPACTOR__MIN_FREE_DISK": text}, {})


def test_lists_of_stream_retention(tmp_path: Path) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_text(RETENTION)
    limits = limits_of(load_settings(path, {}, {}))
    general = (StreamRetention('{app="debug"}', 1, 2 * DAY_NS),)
    assert limits(TenantId("any")).retention_stream == general
    assert limits(TenantId("own-period")).retention_stream == general
    assert limits(TenantId("own-period")).retention_period_ns == 2 * DAY_NS
    assert limits(TenantId("own-list")).retention_stream == (
        StreamRetention('{app="x"}', 0, DAY_NS),
    )


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("{selector: '{a=\"b\"}', period: 12h}", "retention period must be >= 24h was 12h"),
        ("{selector: '{a=\"b\"}'}", "selector, priority and period"),
        ("{selector: '{a=\"b\"}', period: 24h, x: 1}", "unknown key 'x'"),
        ("{selector: '{a=\"b\"}', period: soon}", "not a duration"),
        ("{selector: '{a=\"b\"}', period: 24h, priority: high}", "priority"),
        ("text", "selector, priority and period"),
    ],
)
def test_mistakes_in_them(tmp_path: Path, item: str, told: str) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_text(f"limits: {{retention_stream: [{item}]}}")
    with pytest.raises(SettingsError, match=told) as caught:
        load_settings(path, {}, {})
    assert "retention_stream" in caught.value.message

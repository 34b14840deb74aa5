"""Which queries fail because a line could not be read? Those to which its error comes (logql.md
§9.1), `absent_over_time` among them: it must not say that nothing is wrong."""

import pytest

from querier.executors.local import LocalExecutor
from querier.metrics.samples import PipelineError
from querier.result import MatrixResult
from querier.rules import ALL_RULES, Rules
from tests.querier.test_engine import engine_of, options
from tests.reference.logs import NS, START_NS, Entry

ENTRIES: list[Entry] = [({"app": "api"}, {}, START_NS, b"plain v=abc")]
END_NS = START_NS + 60 * NS

FAILS = {
    'absent_over_time({app="api"} | json | a="" [5m])': "JSONParserErr",
    'absent_over_time({app="api"} | logfmt | unwrap v [5m])': "SampleExtractionErr",
    'absent_over_time({app="api"} | logfmt | v>5 [5m])': "LabelFilterErr",
    'sum(count_over_time({app="api"} | json | a="" [5m]))': "JSONParserErr",
}
PASSES = {
    'absent_over_time({app="api"} | json [5m])': 0,  # nobody asks for what the parser finds
    'absent_over_time({app="api"} | json | __error__="" [5m])': 1,
    'absent_over_time({app="api"} | logfmt | unwrap v | __error__="" [5m])': 1,
}


@pytest.mark.parametrize("rules", [ALL_RULES, frozenset()], ids=["rules", "none"])
@pytest.mark.parametrize(("query", "error"), FAILS.items())
def test_fails(executor: LocalExecutor, query: str, error: str, rules: Rules) -> None:
    engine = engine_of([ENTRIES], executor)
    with pytest.raises(PipelineError, match=error):
        engine.run(query, options(END_NS, END_NS, rules))


@pytest.mark.parametrize("rules", [ALL_RULES, frozenset()], ids=["rules", "none"])
@pytest.mark.parametrize(("query", "series"), PASSES.items())
def test_passes(executor: LocalExecutor, query: str, series: int, rules: Rules) -> None:
    result = engine_of([ENTRIES], executor).run(query, options(END_NS, END_NS, rules)).result
    assert isinstance(result, MatrixResult)
    assert len(result.series) == series

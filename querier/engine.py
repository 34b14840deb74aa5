"""How does a query become an answer? Text → AST → plan → rules → tasks → result.

Contract with the HTTP layer: `Engine.run(text, options) -> Answer`, blocking, called on a worker
thread; raises AppError subclasses with Loki's texts.
"""

from querier.executors.local import LocalExecutor
from querier.query import QueryOptions
from querier.result import Answer
from storage.scan import SourceProvider


class Engine:
    """Answers LogQL over heads and blocks; one per process, thread-safe."""

    def __init__(
        self, heads: SourceProvider, blocks: SourceProvider, executor: LocalExecutor
    ) -> None:
        self._heads, self._blocks, self._executor = heads, blocks, executor

    def run(self, text: str, options: QueryOptions) -> Answer:
        """Parse, plan and execute; a range query, or an instant one when `options.instant`."""
        raise NotImplementedError

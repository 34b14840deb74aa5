"""How do stages that a file writes become checked ones? Each mistake with its line."""

from pydantic import ValidationError

from promtail_agent.pipeline import StageSpec, stage_spec
from promtail_agent.stage_keys import known_keys
from promtail_agent.stages.registry import STAGES
from promtail_agent.yaml_lines import KeyPath, LinedYaml
from promtail_agent.yaml_mistakes import mistake_texts


class StageReader:
    """Reads the stages of one document; what is wrong and what is ignored goes to its lists."""

    def __init__(self, document: LinedYaml, mistakes: list[str], notices: list[str]) -> None:
        self._document, self._mistakes, self._notices = document, mistakes, notices

    def read(self, at: KeyPath, stages: list[object]) -> list[StageSpec]:
        """The stages of a job that could be read."""
        found = [self.read_one((*at, i), stage) for i, stage in enumerate(stages)]
        return [spec for spec in found if spec is not None]

    def read_one(self, at: KeyPath, stage: object) -> StageSpec | None:
        """A stage; None where it could not be read."""
        if not isinstance(stage, dict):
            message = (
                "invalid YAML config, make sure each stage of your pipeline is a YAML object "
                f"(must end with a `:`), check stage `- {stage}`"
            )
            self._mistake(at, message)
            return None
        if len(stage) != 1:
            self._mistake(at, "pipeline stage must contain only one key")
            return None
        [(name, body)] = stage.items()
        at = (*at, name)
        if name not in STAGES:
            self._mistake(at, f"invalid {name} stage config: Unknown stage type: {name}")
            return None
        body = known_keys(name, body, at, self._ignored)
        try:
            return stage_spec(name, body)
        except ValidationError as error:
            self._mistakes += mistake_texts(
                self._document, at, error, f"invalid {name} stage config: "
            )
            return None

    def _mistake(self, at: KeyPath, message: str) -> None:
        self._mistakes.append(self._document.complain(at, message))

    def _ignored(self, at: KeyPath) -> None:
        self._notices.append(self._document.complain(at, "not a key of this stage, ignored"))

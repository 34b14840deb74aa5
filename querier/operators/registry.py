"""Which operator runs a stage? One line per stage of the syntax tree."""

from typing import assert_never

from logql import ast
from querier.operators.base import Demand, Operator
from querier.operators.decolorize import DecolorizeOperator
from querier.operators.drop import DropOperator
from querier.operators.json_parser import build_json
from querier.operators.keep import KeepOperator
from querier.operators.label_filter import LabelFilterOperator
from querier.operators.label_format import LabelFormatOperator
from querier.operators.line_filter import LineFilterOperator
from querier.operators.line_format import LineFormatOperator
from querier.operators.logfmt import build_logfmt
from querier.operators.pattern import PatternOperator
from querier.operators.regexp import RegexpOperator
from querier.operators.unpack import UnpackOperator


def build_operator(stage: ast.Stage, demand: Demand) -> Operator:
    """The operator for a stage; `demand` is what is looked at behind it."""
    match stage:
        case ast.LineFilter():
            return LineFilterOperator(stage)
        case ast.JsonParser():
            return build_json(stage, demand)
        case ast.LogfmtParser():
            return build_logfmt(stage, demand)
        case ast.RegexpParser():
            return RegexpOperator(stage, demand)
        case ast.PatternParser():
            return PatternOperator(stage, demand)
        case ast.Unpack():
            return UnpackOperator()
        case ast.LabelFilterStage():
            return LabelFilterOperator(stage)
        case ast.LineFormat():
            return LineFormatOperator(stage)
        case ast.LabelFormat():
            return LabelFormatOperator(stage)
        case ast.Decolorize():
            return DecolorizeOperator()
        case ast.Drop():
            return DropOperator(stage)
        case ast.Keep():
            return KeepOperator(stage)
        case _:
            assert_never(stage)

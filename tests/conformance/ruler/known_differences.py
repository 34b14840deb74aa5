"""Which recorded cases of the ruler does Narfi answer otherwise on purpose, and why?"""

KNOWN = {
    "prom-rules-005": "`keepFiringFor` is shown: it is honoured",
    "prom-rules-020": "`rule_name[]` is honoured",
    "prom-rules-023": "`group_limit` is honoured: one page",
    "prom-rules-024": "`group_limit` is honoured: one page",
    "prom-rules-025": "`group_limit` of 0 is refused, as Prometheus does",
    "prom-rules-026": "`group_limit` below 0 is refused, as Prometheus does",
    "prom-rules-027": "`group_limit` that is no number is refused, as Prometheus does",
    "prom-rules-029": "a token that cannot be read is refused, as Prometheus does",
    "prom-rules-030": "`match[]` is honoured",
    "rule-api-015": "`query_offset` and `keep_firing_for` are kept",
    "rule-api-101": "`keep_firing_for` is kept",
    "rule-eval-018": "numbers keep their digits: `vector(0.0000001)` is not 0",
    "rule-limits-004": "a group at the limit can be replaced",
    "rule-validate-028": "labels of the group are honoured, so their names are checked",
}

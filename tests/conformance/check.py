#!/usr/bin/env python3
"""Runs the conformance cases against a server and reports the differences.

    python check.py --url http://127.0.0.1:3100 [--only GLOB] [--push] [-v]

Standard library only.  See README.md for the format of a case and for how each
kind of answer is compared.
"""

import argparse
import base64
import collections
import concurrent.futures
import fnmatch
import gzip
import http.client
import json
import math
import os
import re
import sys
import threading
import time
import urllib.parse
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
RTOL = 1e-9
ATOL = 1e-12


# ---------------------------------------------------------------------------
# HTTP


class Client:
    """One keep-alive connection per thread."""

    def __init__(self, url, timeout):
        u = urllib.parse.urlsplit(url)
        self.host, self.port = u.hostname, u.port or (443 if u.scheme == "https" else 80)
        self.https, self.prefix, self.timeout = u.scheme == "https", u.path.rstrip("/"), timeout
        self.local = threading.local()

    def conn(self, fresh=False):
        c = getattr(self.local, "conn", None)
        if c is None or fresh:
            if c is not None:
                c.close()
            cls = http.client.HTTPSConnection if self.https else http.client.HTTPConnection
            c = self.local.conn = cls(self.host, self.port, timeout=self.timeout)
        return c

    def send(self, method, target, headers, body):
        last = None
        for attempt in range(2):
            c = self.conn(fresh=attempt > 0)
            try:
                c.putrequest(method, self.prefix + target, skip_accept_encoding=True)
                for k, v in headers:
                    c.putheader(k, v)
                if body is not None:
                    c.putheader("Content-Length", str(len(body)))
                elif method in ("POST", "PUT"):
                    c.putheader("Content-Length", "0")
                c.endheaders(body)
                r = c.getresponse()
                data = r.read()
                enc = (r.getheader("Content-Encoding") or "").lower()
                if enc == "gzip":
                    data = gzip.decompress(data)
                elif enc == "deflate":
                    data = zlib.decompress(data)
                return r.status, {k.lower(): v for k, v in r.getheaders()}, data
            except (http.client.HTTPException, OSError) as e:
                last = e
                c.close()
                self.local.conn = None
        raise last


def pairs(p):
    """Parameters as a list of [name, value]; a mapping may hold lists."""
    if not p:
        return []
    if isinstance(p, dict):
        out = []
        for k, v in p.items():
            for x in v if isinstance(v, list) else [v]:
                out.append((k, x))
        return out
    return [(k, v) for k, v in p]


def quote(params):
    return urllib.parse.urlencode([(k, str(v)) for k, v in params])


def build(req, tenant):
    """(method, target, headers, body) of a case's request."""
    method = req.get("method", "GET")
    target = req["path"]
    q = quote(pairs(req.get("params")))
    if q:
        target += "?" + q
    headers = dict(req.get("headers") or {})
    names = {k.lower() for k in headers}
    body = None
    if "form" in req:
        body = quote(pairs(req["form"])).encode()
        if "content-type" not in names:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif "body_b64" in req:
        body = base64.b64decode(req["body_b64"])
    elif "body" in req:
        b = req["body"]
        body = (b if isinstance(b, str) else json.dumps(b)).encode("utf-8", "surrogatepass")
        if "repeat" in req:  # {"mark": "@@", "text": "x", "times": n}
            r = req["repeat"]
            body = body.replace(r["mark"].encode(), r["text"].encode() * r["times"])
    if "repeat_param" in req:
        r = req["repeat_param"]
        target = target.replace(
            urllib.parse.quote_plus(r["mark"]), urllib.parse.quote_plus(r["text"]) * r["times"]
        )
    if "x-scope-orgid" not in names and tenant:
        headers["X-Scope-OrgID"] = tenant
    # a header given as null is left out (for a request without a tenant)
    return method, target, [(k, v) for k, v in headers.items() if v is not None], body


# ---------------------------------------------------------------------------
# Comparison.  Every function returns None or a text that tells the difference.


def number(s):
    if isinstance(s, bool):
        raise ValueError("boolean")
    if isinstance(s, (int, float)):
        return float(s)
    t = s.strip().lower()
    if t in ("nan", "+nan", "-nan"):
        return math.nan
    if t in ("inf", "+inf"):
        return math.inf
    if t == "-inf":
        return -math.inf
    return float(s)


def close(a, b, rtol=RTOL, atol=ATOL):
    try:
        a, b = number(a), number(b)
    except (ValueError, AttributeError):
        return False
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= max(rtol * max(abs(a), abs(b)), atol)


def canon(x):
    return json.dumps(x, sort_keys=True)


def short(x, n=300):
    s = x if isinstance(x, str) else json.dumps(x, ensure_ascii=False, sort_keys=True)
    return s if len(s) <= n else s[: n - 20] + " ...(%d)" % len(s)


def keyed(items, key):
    out = collections.OrderedDict()
    for it in items:
        k = canon(it.get(key) or {})
        if k in out:
            raise ValueError("%s %s occurs twice in the result" % (key, k))
        out[k] = it
    return out


def repeats(items, key):
    ks = [canon(it.get(key) or {}) for it in items]
    return len(set(ks)) < len(ks)


def key_diff(exp, got, what):
    miss = [k for k in exp if k not in got]
    more = [k for k in got if k not in exp]
    if miss or more:
        return "%s: %d expected, %d got; missing %s; unexpected %s" % (
            what,
            len(exp),
            len(got),
            short("; ".join(miss[:3]) or "none"),
            short("; ".join(more[:3]) or "none"),
        )
    return None


def groups(values):
    """Values grouped by equal neighbouring timestamps, each group sorted."""
    out = []
    for v in values:
        t = str(v[0])
        if out and out[-1][0] == t:
            out[-1][1].append(v)
        else:
            out.append((t, [v]))
    return [(t, sorted(vs, key=canon)) for t, vs in out]


def cmp_values(exp, got, strict):
    if len(exp) != len(got):
        es, gs = {canon(v) for v in exp}, {canon(v) for v in got}
        return "%d values expected, %d got; missing %s; unexpected %s" % (
            len(exp),
            len(got),
            short(next((v for v in exp if canon(v) not in gs), "none")),
            short(next((v for v in got if canon(v) not in es), "none")),
        )
    if strict:
        for i, (a, b) in enumerate(zip(exp, got)):
            if a != b:
                return "value %d: expected %s, got %s" % (i, short(a), short(b))
        return None
    for (ta, va), (tb, vb) in zip(groups(exp), groups(got)):
        if ta != tb:
            return "timestamp %s expected, %s got" % (ta, tb)
        if va != vb:
            return "at %s: expected %s, got %s" % (ta, short(va), short(vb))
    return None


def cmp_streams(exp, got, opts):
    e, g = keyed(exp, "stream"), keyed(got, "stream")
    d = key_diff(e, g, "streams")
    if d:
        return d
    for k in e:
        d = cmp_values(e[k]["values"], g[k].get("values") or [], opts.get("strict"))
        if d:
            return "stream %s: %s" % (short(k, 200), d)
    return None


def tol(opts):
    return opts.get("rtol", RTOL), opts.get("atol", ATOL)


def cmp_point(e, g, opts):
    if len(g) != 2 or not isinstance(g[1], str):
        return 'a sample must be [time, "value"], got %s' % short(g)
    if not close(e[0], g[0], 0, 0.0005):
        return "time %s expected, %s got" % (e[0], g[0])
    if not close(e[1], g[1], *tol(opts)):
        return "at %s: %s expected, %s got" % (e[0], e[1], g[1])
    return None


def cmp_matrix(exp, got, opts):
    if opts.get("ties") == "values":
        # which of several equal series is chosen is free: compare the values per time
        def flat(m):
            return sorted(
                ((p[0], number(p[1])) for s in m for p in s["values"]), key=lambda x: (x[0], x[1])
            )

        e, g = flat(exp), flat(got)
        if len(e) != len(g):
            return "%d points expected, %d got" % (len(e), len(g))
        for a, b in zip(e, g):
            if not close(a[0], b[0]) or not close(a[1], b[1], *tol(opts)):
                return "point %s expected, %s got" % (a, b)
        return None
    e, g = keyed(exp, "metric"), keyed(got, "metric")
    d = key_diff(e, g, "series")
    if d:
        return d
    for k in e:
        ev, gv = e[k]["values"], g[k].get("values") or []
        if len(ev) != len(gv):
            et, gt = {float(p[0]) for p in ev}, {float(p[0]) for p in gv}
            return "series %s: %d points expected, %d got; missing times %s; unexpected %s" % (
                short(k, 200),
                len(ev),
                len(gv),
                sorted(et - gt)[:4],
                sorted(gt - et)[:4],
            )
        for a, b in zip(ev, gv):
            d = cmp_point(a, b, opts)
            if d:
                return "series %s: %s" % (short(k, 200), d)
    return None


def cmp_vector(exp, got, opts):
    times = {s["value"][0] for s in exp}
    for s in got:
        if len(times) == 1 and not close(s["value"][0], min(times), 0, 0.0005):
            return "time %s expected, %s got" % (min(times), s["value"][0])
    if opts.get("ties") == "values":
        e = sorted(number(s["value"][1]) for s in exp)
        g = sorted(number(s["value"][1]) for s in got)
        if len(e) != len(g) or not all(close(a, b, *tol(opts)) for a, b in zip(e, g)):
            return "values %s expected, %s got" % (short(e), short(g))
        return None
    if repeats(exp, "metric"):
        # label_replace may give several series the same labels
        e = sorted((canon(s["metric"]), number(s["value"][1])) for s in exp)
        g = sorted((canon(s.get("metric") or {}), number(s["value"][1])) for s in got)
        ok = len(e) == len(g) and all(
            a[0] == b[0] and close(a[1], b[1], *tol(opts)) for a, b in zip(e, g)
        )
        return None if ok else "series %s expected, %s got" % (short(e), short(g))
    e, g = keyed(exp, "metric"), keyed(got, "metric")
    d = key_diff(e, g, "series")
    if d:
        return d
    if opts.get("values") == "ratio":
        # estimates: the share of each series in the whole is compared
        se, sg = (sum(number(s["value"][1]) for s in x.values()) for x in (e, g))
        for k in e:
            a, b = number(e[k]["value"][1]) / (se or 1), number(g[k]["value"][1]) / (sg or 1)
            if not close(a, b, opts.get("rtol", 0.1), 0.01):
                return "series %s: share %.4f expected, %.4f got" % (short(k, 200), a, b)
        return None
    for k in e:
        d = cmp_point(e[k]["value"], g[k]["value"], opts)
        if d:
            return "series %s: %s" % (short(k, 200), d)
    if opts.get("ordered"):
        # the order of the values counts, the order among equal values does not
        for i, (a, b) in enumerate(zip(exp, got)):
            if not close(a["value"][1], b["value"][1], *tol(opts)):
                return "position %d: value %s expected, %s got" % (i, a["value"][1], b["value"][1])
    return None


def strip(x, ignore):
    """A JSON value without the ignored keys (dotted paths, * for any)."""
    if not ignore:
        return x
    if isinstance(x, dict):
        out = {}
        for k, v in x.items():
            if k in ignore or "*." + k in ignore:
                continue
            sub = [
                p.split(".", 1)[1] for p in ignore if "." in p and p.split(".", 1)[0] in (k, "*")
            ]
            out[k] = strip(v, sub + [p for p in ignore if p.startswith("*.")])
        return out
    if isinstance(x, list):
        return [strip(v, ignore) for v in x]
    return x


def cmp_json(e, g, opts, path="$", unordered=False):
    if isinstance(e, dict) and isinstance(g, dict):
        d = key_diff(e, g, path)
        if d:
            return d
        for k in e:
            d = cmp_json(e[k], g[k], opts, path + "." + k, unordered)
            if d:
                return d
        return None
    if isinstance(e, list) and isinstance(g, list):
        if len(e) != len(g):
            es, gs = [canon(v) for v in e], [canon(v) for v in g]
            return "%s: %d items expected, %d got; missing %s; unexpected %s" % (
                path,
                len(e),
                len(g),
                short([v for v in es if v not in gs][:3]),
                short([v for v in gs if v not in es][:3]),
            )
        if unordered:
            e, g = sorted(e, key=canon), sorted(g, key=canon)
        for i, (a, b) in enumerate(zip(e, g)):
            d = cmp_json(a, b, opts, "%s[%d]" % (path, i), unordered)
            if d:
                return d
        return None
    approx = opts.get("approx", {}).get(path.rsplit(".", 1)[-1])
    if approx is not None and isinstance(e, (int, float)):
        if not close(e, g, approx, opts.get("atol", 0)):
            return "%s: about %s expected, %s got" % (path, e, g)
        return None
    if isinstance(e, float) or isinstance(g, float):
        if type(e) in (int, float) and type(g) in (int, float) and close(e, g, 1e-13):
            return None
    if type(e) is not type(g) or e != g:
        return "%s: expected %s, got %s" % (path, short(e), short(g))
    return None


def shape(x):
    """A JSON value with every number replaced, to compare its members only."""
    if isinstance(x, dict):
        return {k: shape(v) for k, v in x.items()}
    if isinstance(x, list):
        return [shape(v) for v in x]
    return 0 if isinstance(x, (int, float)) and not isinstance(x, bool) else x


def unfold(x):
    """Sorts every list of a JSON value so that two sets compare equal."""
    if isinstance(x, dict):
        return {k: unfold(v) for k, v in x.items()}
    if isinstance(x, list):
        return sorted((unfold(v) for v in x), key=canon)
    return x


def parse(data):
    try:
        return json.loads(data.decode("utf-8", "replace")), None
    except ValueError as e:
        return None, "the body is not JSON (%s): %s" % (e, short(data.decode("utf-8", "replace")))


def without_stats(body):
    if isinstance(body, dict) and isinstance(body.get("data"), dict) and "stats" in body["data"]:
        body = dict(body, data={k: v for k, v in body["data"].items() if k != "stats"})
    return body


def compare(case, status, headers, data, loose=False):
    exp, mode, opts = case["expect"], case["compare"], case.get("opts") or {}
    if status != exp["status"]:
        return "status %s expected, %s got: %s" % (
            exp["status"],
            status,
            short(data.decode("utf-8", "replace")),
        )
    for k, v in (exp.get("headers") or {}).items():
        if headers.get(k.lower(), "").lower() != v.lower():
            return "header %s: %r expected, %r got" % (k, v, headers.get(k.lower()))
    if mode == "status":
        return None
    if mode == "error":
        if loose or opts.get("loose"):
            return None
        got = data.decode("utf-8", "replace").rstrip("\n")
        want = exp["text"].rstrip("\n")
        if "regex" in opts:
            return (
                None
                if re.search(opts["regex"], got, re.S)
                else "text matching %r expected, got %s" % (opts["regex"], short(got))
            )
        return (
            None
            if got == want
            else "error text\n      expected %s\n      got      %s"
            % (short(want, 600), short(got, 600))
        )
    if "text" in exp:
        got = data.decode("utf-8", "replace").rstrip("\n")
        return (
            None
            if got == exp["text"].rstrip("\n")
            else "text %s expected, got %s" % (short(exp["text"]), short(got))
        )
    got, err = parse(data)
    if err:
        return err
    want, got = without_stats(exp["body"]), without_stats(got)
    if mode in ("streams", "matrix", "vector"):
        wd, gd = want["data"], got.get("data") if isinstance(got, dict) else None
        if not isinstance(gd, dict) or "result" not in gd:
            return "no data.result in %s" % short(got)
        if got.get("status") != "success":
            return "status member: %r" % got.get("status")
        if wd["resultType"] != gd.get("resultType"):
            return "resultType %s expected, %s got" % (wd["resultType"], gd.get("resultType"))
        if sorted(wd.get("encodingFlags") or []) != sorted(gd.get("encodingFlags") or []):
            return "encodingFlags %s expected, %s got" % (
                wd.get("encodingFlags"),
                gd.get("encodingFlags"),
            )
        if wd["resultType"] == "scalar":
            # the recorded time is in milliseconds; seconds are accepted as well
            e, g = wd["result"], gd["result"]
            if isinstance(g, list) and g and close(e[0], g[0] * 1000):
                g = [e[0]] + g[1:]
            return cmp_point(e, g, opts)
        fn = {"streams": cmp_streams, "matrix": cmp_matrix, "vector": cmp_vector}[wd["resultType"]]
        try:
            return fn(wd["result"], gd["result"] or [], opts)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as e:
            return "malformed result: %r" % e
    ign = opts.get("ignore") or []
    want, got = strip(want, ign), strip(got, ign)
    if mode == "shape":
        want, got = shape(want), shape(got)
    if mode == "set":
        want, got = unfold(want), unfold(got)
    return cmp_json(want, got, opts)


# ---------------------------------------------------------------------------
# Running


def load(folder):
    cases, seen = [], set()
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".jsonl"):
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as fh:
            for line in fh:
                if line.strip():
                    c = json.loads(line)
                    if c["id"] in seen:
                        raise SystemExit("case id %s occurs twice" % c["id"])
                    seen.add(c["id"])
                    cases.append(c)
    return cases


def push(client, folder, tenant, verbose=False):
    n = 0
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".json.gz"):
            continue
        with open(os.path.join(folder, name), "rb") as fh:
            body = fh.read()
        head = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
        if tenant:
            head.append(("X-Scope-OrgID", tenant))
        status, _, data = client.send("POST", "/loki/api/v1/push", head, body)
        if status != 204:
            raise SystemExit(
                "push of %s failed: %d %s" % (name, status, short(data.decode("utf-8", "replace")))
            )
        n += 1
        if verbose:
            print("pushed", name)
    if not n:
        raise SystemExit("no data set in %s" % folder)
    return n


def run_one(client, case, tenant, loose):
    t = time.time()
    try:
        method, target, headers, body = build(case["request"], case.get("tenant", tenant))
        status, rh, data = client.send(method, target, headers, body)
        diff = compare(case, status, rh, data, loose)
    except Exception as e:  # a broken answer is a failed case
        diff = "request failed: %r" % e
    return diff, time.time() - t


def run(client, cases, tenant, parallel, loose, on_done=None):
    results = {}
    for c in cases:
        if c.get("serial"):
            results[c["id"]] = run_one(client, c, tenant, loose)
            if on_done:
                on_done(c, *results[c["id"]])
    rest = [c for c in cases if not c.get("serial")]
    with concurrent.futures.ThreadPoolExecutor(max(1, parallel)) as pool:
        futs = {pool.submit(run_one, client, c, tenant, loose): c for c in rest}
        for f in concurrent.futures.as_completed(futs):
            c = futs[f]
            results[c["id"]] = f.result()
            if on_done:
                on_done(c, *results[c["id"]])
    return results


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--url", default="http://127.0.0.1:3100")
    ap.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="ids, groups or tags to run (repeatable)",
    )
    ap.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="GLOB",
        help="ids, groups or tags to leave out (repeatable)",
    )
    ap.add_argument(
        "--push", action="store_true", help="push the data set first (once per fresh server)"
    )
    ap.add_argument("--push-only", action="store_true", help="push the data set and stop")
    ap.add_argument("--cases", default=os.path.join(HERE, "cases"))
    ap.add_argument("--dataset", default=os.path.join(HERE, "dataset"))
    ap.add_argument("--tenant", default="conformance", help="value of X-Scope-OrgID ('' for none)")
    ap.add_argument("--parallel", type=int, default=3)
    ap.add_argument("--timeout", type=float, default=60)
    ap.add_argument(
        "--loose-errors",
        action="store_true",
        help="compare only the status of errors, not their text",
    )
    ap.add_argument("--list", action="store_true", help="list the cases, do not run them")
    ap.add_argument("--report", metavar="FILE", help="write all results as JSON")
    ap.add_argument("-v", "--verbose", action="store_true", help="tell what differs")
    a = ap.parse_args()

    client = Client(a.url, a.timeout)
    if a.push or a.push_only:
        n = push(client, a.dataset, a.tenant, a.verbose)
        print("pushed %d files" % n)
        if a.push_only:
            return 0

    def hit(c, globs):
        names = [c["id"], c["group"]] + ["tag:" + t for t in c.get("tags", [])]
        return any(fnmatch.fnmatch(x, g) for g in globs for x in names)

    cases = [c for c in load(a.cases) if (not a.only or hit(c, a.only)) and not hit(c, a.skip)]
    if a.list:
        for c in cases:
            print(
                "%-28s %-8s %s"
                % (
                    c["id"],
                    c["compare"],
                    short(c["request"].get("params") or c["request"]["path"], 150),
                )
            )
        return 0
    results = run(client, cases, a.tenant, a.parallel, a.loose_errors)
    failed = [c for c in cases if results[c["id"]][0]]
    by_group = collections.OrderedDict()
    for c in cases:
        by_group.setdefault(c["group"], [0, []])[0] += 1
    for c in failed:
        by_group[c["group"]][1].append(c)
    if a.verbose:
        for c in failed:
            print("FAIL %s" % c["id"])
            print(
                "   %s %s %s"
                % (
                    c["request"].get("method", "GET"),
                    c["request"]["path"],
                    short(c["request"].get("params") or c["request"].get("form") or "", 500),
                )
            )
            print("   " + results[c["id"]][0])
    for g, (n, bad) in by_group.items():
        if bad:
            print("%s: %d of %d failed: %s" % (g, len(bad), n, " ".join(c["id"] for c in bad)))
    if a.report:
        with open(a.report, "w") as fh:
            json.dump(
                [
                    {
                        "id": c["id"],
                        "group": c["group"],
                        "diff": results[c["id"]][0],
                        "seconds": round(results[c["id"]][1], 4),
                    }
                    for c in cases
                ],
                fh,
                indent=1,
            )
    print("%d passed, %d failed" % (len(cases) - len(failed), len(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

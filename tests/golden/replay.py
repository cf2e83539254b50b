#!/usr/bin/env python3
"""Replays recorded cases against a running CapCut API and compares every answer and both resulting scripts.

  replay.py --base-url http://127.0.0.1:9000 --env capcut [--only GLOB] [--except FILE] [-v] [--json OUT]

Serves the media of the cases itself, on a free port of 127.0.0.1. The API must be allowed to read the folder `media`
beside this script and to fetch from 127.0.0.1. Standard library only.
Exit 0 when every case passes or is excepted. The last line is 'N passed, N failed'.

--except FILE: lines 'case-name-or-glob  # reason' for cases in which the server under test is better on purpose; an excepted
case that passes is reported too, so that the list cannot go stale.

What is compared: HTTP status; `success`; `output` of successes (ids by bijection: any id may stand for a placeholder, but
always the same one); that failures have a non-empty error (the wording only with --errors exact); the script before the
refresh (or already as after it: lengths may be resolved at once) and after it. Random ids and the order in which they are
made do not matter; references between them do. Numbers compare by value. Texts inside text materials are compared as JSON.

The recordings were made with media at http://127.0.0.1:9180/ and in /media-fixtures/. The API derives names and ids from
addresses and paths, so a case is rewritten for the port and the folder of this run before it is compared.
"""
import argparse
import fnmatch
import hashlib
import http.client
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import urllib.parse
import uuid
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED_SITE = "http://127.0.0.1:9180/"
RECORDED_FOLDER = "/media-fixtures/"
PLACEHOLDER = re.compile(r"<(?:uuid|draft)-\d+>")


class Media(http.server.BaseHTTPRequestHandler):
    root = os.path.join(HERE, "media")
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET(True)

    def do_GET(self, head=False):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        try:
            path = path.encode("latin-1").decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            pass
        parts = path.lstrip("/").split("/")
        code, body, extra, cut = 200, b"", {}, None
        if parts[0] == "status":
            code, body = int(parts[1]), b"status page\n"
        elif parts[0] == "redir":
            code, extra = 302, {"Location": "/" + "/".join(parts[1:])}
        else:
            special = parts.pop(0) if parts[0] in ("trunc", "nolen") else ""
            f = os.path.join(self.root, *parts)
            if ".." in parts or not os.path.isfile(f):
                code, body = 404, b"not found\n"
            else:
                body = open(f, "rb").read()
                if special == "trunc":
                    cut = len(body) // 2
                elif special == "nolen":
                    extra["Connection"] = "close"
                else:
                    extra["Accept-Ranges"] = "bytes"
                    want = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range") or "")
                    if want:
                        lo = int(want[1])
                        hi = min(int(want[2]) if want[2] else len(body) - 1, len(body) - 1)
                        extra["Content-Range"] = "bytes %d-%d/%d" % (lo, hi, len(body))
                        code, body = 206, body[lo:hi + 1]
        self.send_response(code)
        for k, v in extra.items():
            self.send_header(k, v)
        if extra.get("Connection") == "close":
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if head:
            return
        try:
            self.wfile.write(body if cut is None else body[:cut])
        except OSError:
            pass
        if cut is not None:
            self.close_connection = True


class MediaServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


class Match:
    """Compares recorded with actual; placeholders stand for any id, one to one."""

    def __init__(self):
        self.to, self.back = {}, {}

    def forget(self):
        """Drops what placeholders of random ids stand for (a failed comparison may have bound them wrongly); drafts stay."""
        self.to = {k: v for k, v in self.to.items() if k.startswith("<draft-")}
        self.back = {v.lower(): k for k, v in self.to.items()}

    def known(self, text):
        return PLACEHOLDER.sub(lambda m: self.to.get(m[0], m[0]), text)

    def text(self, a, b, path):
        if not PLACEHOLDER.search(a):
            return [] if a == b else ["%s: %.80r recorded, %.80r got" % (path, a, b)]
        parts = PLACEHOLDER.split(a)
        names = PLACEHOLDER.findall(a)
        m = re.fullmatch("(.+?)".join(re.escape(p) for p in parts), b, re.S)
        if not m:
            return ["%s: %.80r recorded, %.80r got" % (path, a, b)]
        for name, value in zip(names, m.groups()):
            value = value.lower()
            if self.to.setdefault(name, m.group(names.index(name) + 1)).lower() != value or self.back.setdefault(value, name) != name:
                return ["%s: %s stands for another id" % (path, name)]
        return []

    def value(self, a, b, path=""):
        if isinstance(a, dict) and isinstance(b, dict):
            if "<list-of>" in a:
                return []
            out = ["%s: lacks %s" % (path, sorted(set(a) - set(b)))] if set(a) - set(b) else []
            if set(b) - set(a):
                out.append("%s: has more: %s" % (path, sorted(set(b) - set(a))))
            for k in a:
                if k in b:
                    out += self.value(a[k], b[k], path + "/" + k)
            return out
        if isinstance(a, dict) and "<list-of>" in a and isinstance(b, list):
            ok = len(b) >= a["<list-of>"] and all(x in b for x in a["first"])
            return [] if ok else ["%s: list of %d, %d recorded" % (path, len(b), a["<list-of>"])]
        if isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return ["%s: %d items recorded, %d got" % (path, len(a), len(b))]
            return [d for i, (x, y) in enumerate(zip(a, b)) for d in self.value(x, y, "%s/%d" % (path, i))]
        if isinstance(a, bool) or isinstance(b, bool):
            return [] if a is b else ["%s: %r recorded, %r got" % (path, a, b)]
        if isinstance(a, str) and isinstance(b, float) and a in ("<NaN>", "<Infinity>", "<-Infinity>"):
            return []
        if isinstance(a, (int, float)) and isinstance(b, (int, float)):
            near = a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b))
            return [] if near else ["%s: %r recorded, %r got" % (path, a, b)]
        if isinstance(a, str) and isinstance(b, str):
            return self.text(a, b, path)
        return [] if a == b else ["%s: %.80r recorded, %.80r got" % (path, a, b)]


def readable(script):
    """The script with the JSON inside text materials opened."""
    if isinstance(script, dict):
        for t in (script.get("materials") or {}).get("texts") or []:
            if isinstance(t.get("content"), str):
                try:
                    t["content"] = json.loads(t["content"])
                except ValueError:
                    pass
    return script


def send(base, method, path, body=None, ctype="application/json", timeout=120):
    c = http.client.HTTPConnection(base.hostname, base.port or 80, timeout=timeout)
    try:
        c.request(method, path, body=body, headers={"Content-Type": ctype} if ctype else {})
        r = c.getresponse()
        data = r.read()
        return r.status, data
    finally:
        c.close()


def as_json(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def derived(source):
    """The names and ids that the API gives to the media at an address or path."""
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    ids = [uuid.uuid3(uuid.NAMESPACE_DNS, kind % name).hex for kind in ("video_%s.mp4", "image_%s.png", "audio_%s.mp3")]
    return [name, *ids]


def moved(case, site, folder):
    """The case as it would have been recorded with its media at `site` and in `folder`."""
    places = ((RECORDED_SITE, site), (RECORDED_FOLDER, folder))
    known = {}
    for text in strings([step.get("request") for step in case["steps"]]):
        for old, new in places:
            if text.startswith(old):
                known.update(zip(derived(text), derived(new + text[len(old):])))
    names = re.compile("|".join(sorted(known, key=len, reverse=True))) if known else None

    def renamed(value):
        if isinstance(value, dict):
            return {key: renamed(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [renamed(inner) for inner in value]
        if not isinstance(value, str):
            return value
        for old, new in places:
            value = value.replace(old, new)
        return names.sub(lambda found: known[found[0]], value) if names else value

    return renamed(case)


def recorded_cases(env):
    with zipfile.ZipFile(os.path.join(HERE, "recorded.zip")) as archive, archive.open("cases.jsonl") as lines:
        for line in lines:
            case = json.loads(line)["recording"]
            if case["environment"] == env:
                yield case


def run(case, base, exact_errors):
    m, problems = Match(), []

    def post(path, obj):
        return send(base, "POST", path, m.known(json.dumps(obj, ensure_ascii=False)).encode())

    for n, s in enumerate(case["steps"]):
        where = "step %d %s" % (n, s["path"])
        if "raw_request" in s:
            raw = s["raw_request"]
            status, data = send(base, s["method"], s["path"], m.known(raw.get("body") or "").encode(), raw.get("content_type"))
        elif s["request"] is None:
            status, data = send(base, s["method"], s["path"], None, None)
        else:
            status, data = post(s["path"], s["request"])
        if status != s["status"]:
            problems.append("%s: status %d recorded, %d got: %.120r" % (where, s["status"], status, data))
            continue
        want = s["response"]
        if not isinstance(want, dict) or "success" not in want:
            continue
        got = as_json(data)
        if not isinstance(got, dict):
            problems.append("%s: no JSON object: %.120r" % (where, data))
            continue
        if got.get("success") is not want["success"]:
            problems.append("%s: success %s recorded, %s got (recorded error %.100r, got %.100r)" % (
                where, want["success"], got.get("success"), want["error"], got.get("error")))
            continue
        if not want["success"]:
            if not got.get("error"):
                problems.append("%s: failure without an error text" % where)
            elif exact_errors:
                problems += m.value(want["error"], got["error"], where + " error")
        elif "output_parsed" in want:
            problems += m.value(readable(want["output_parsed"]), readable(as_json(got.get("output") or "")), where + " script")
        else:
            problems += m.value(want["output"], got.get("output"), where + " output")
    if case.get("script_draft") and case.get("script") is not None:
        did = m.known(case["script_draft"])
        if did == case["script_draft"]:
            problems.append("the draft's id never became known")
        else:
            for label, force in (("script before refresh", False), ("script", True)):
                _, data = post("/query_script", {"draft_id": did, "force_update": force})
                got = as_json(data) or {}
                want = case["script"] if force else (case.get("script_no_update") or case["script"])
                doc = as_json(got.get("output") or "") if got.get("success") else None
                if doc is None:
                    problems.append("%s: %.160r" % (label, got.get("error") or data))
                else:
                    found = m.value(readable(want), readable(doc), label)
                    if found and not force and case.get("script_no_update"):
                        # a server that resolves lengths when it adds is already where the reference gets by its refresh
                        m.forget()
                        if not m.value(readable(case["script"]), readable(doc), label):
                            found = []
                    problems += found
    return problems


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--base-url", default="http://127.0.0.1:9000")
    p.add_argument("--env", choices=("capcut", "jianying"), default="capcut")
    p.add_argument("--only", default="*", help="glob over case names")
    p.add_argument("--except", dest="excepted", help="file of cases that differ on purpose")
    p.add_argument("--errors", choices=("any", "exact"), default="any")
    p.add_argument("--json", help="write {case: [problems]} here")
    p.add_argument("-v", action="store_true", help="up to 12 problems a case instead of 2")
    a = p.parse_args()
    base = urllib.parse.urlsplit(a.base_url)
    excepted = []
    if a.excepted:
        for line in open(a.excepted, encoding="utf-8"):
            name, _, why = line.partition("#")
            if name.strip():
                if not why.strip():
                    sys.exit("%s: %s has no reason" % (a.excepted, name.strip()))
                excepted.append(name.strip())
    server = MediaServer(("127.0.0.1", 0), Media)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site = "http://127.0.0.1:%d/" % server.server_address[1]
    passed = failed = on_purpose = 0
    report = {}
    for case in recorded_cases(a.env):
        name = case["name"]
        if not fnmatch.fnmatch(name, a.only):
            continue
        case = moved(case, site, Media.root + "/")
        try:
            problems = run(case, base, a.errors == "exact")
        except OSError as e:
            problems = ["no answer: %s" % e]
        report[name] = problems
        if any(fnmatch.fnmatch(name, g) for g in excepted):
            on_purpose += 1
            if not problems:
                print("%s: excepted, yet it passes" % name)
            continue
        if problems:
            failed += 1
            print(name)
            for x in problems[:12 if a.v else 2]:
                print("    " + x)
        else:
            passed += 1
    if a.json:
        json.dump(report, open(a.json, "w"), ensure_ascii=False, indent=1)
    if on_purpose:
        print("%d cases differ on purpose" % on_purpose)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(0 if passed and not failed else 1)


if __name__ == "__main__":
    main()

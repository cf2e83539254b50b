"""A server behind a proxy under load that is killed again and again: replicas.py EXECUTABLE

Clients over MCP and over the CapCut API edit shared drafts through nginx while the server is killed every 5 seconds. At the
end every edit that was acknowledged has to be in its draft exactly once, and every other edit at most once. Takes about
half a minute, with CAPCUT_TEST_FULL=1 about 5 minutes. deploy/local.py starts the programs.
"""

import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy"))
import local  # noqa: E402

SECONDS = 300 if os.environ.get("CAPCUT_TEST_FULL") else 25
# A call that gets no answer within this time, in seconds, is in doubt.
PATIENCE = 12
# The edits of a draft, after which clients go on with another one.
EDITS = 150
# No limits of calls, and what is said about a call that fails is the failure itself.
SETTINGS = "\n[rates]\n" + "".join(
    f"{lane} = {{ per_minute = 0.0, burst = 1000 }}\n" for lane in ["audio", "visual", "draft", "query", "other"]
)
# The call was not applied, and another replica or time will do.
LATER = {"unsent", "busy"}
# The call may have been applied.
UNSURE = {"unavailable", "timeout", "internal", "cancelled"}


class Refused(Exception):
    """The call was surely not applied."""


class InDoubt(Exception):
    """The call may have been applied."""


class Wire:
    """A connection to nginx or to one replica."""

    def __init__(self, topology, port=None):
        self.topology, self.port = topology, port
        self.connection = None

    def _open(self):
        if self.port:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        return http.client.HTTPSConnection("localhost", self.topology.port, timeout=PATIENCE, context=self.topology.tls)

    def ask(self, method, path, message=None, headers=None):
        self.connection = self.connection or self._open()
        sent = {"Authorization": f"Bearer {self.topology.token}", "Content-Type": "application/json", **(headers or {})}
        try:
            self.connection.request(method, path, json.dumps(message) if message is not None else None, sent)
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            raise InDoubt(f"no answer: {type(error).__name__}") from error


def checked(status, body):
    """Answers that are not about the call itself."""
    if status == 429:
        raise Refused("busy")
    if status >= 500:
        raise InDoubt(f"HTTP {status}")
    if status >= 400:
        raise AssertionError(f"HTTP {status}: {body[:500]}")


def failed(kind, text):
    if kind in LATER:
        raise Refused(kind)
    if kind in UNSURE:
        raise InDoubt(kind)
    raise AssertionError(f"a correct call fails: {text}")


class Api:
    """A client of the CapCut API."""

    name = "the CapCut API"

    def __init__(self, topology, port=None):
        self.wire = Wire(topology, port)

    def call(self, tool, arguments):
        status, _, body = self.wire.ask("POST", f"/{tool}", arguments)
        checked(status, body)
        answer = json.loads(body)
        if not answer["success"]:
            # The API has no kinds of errors.
            assert "there is no draft" not in answer["error"], answer
            raise InDoubt("an error")
        return answer["output"]


class Mcp:
    """A client of MCP over Streamable HTTP with a session."""

    name = "MCP"

    def __init__(self, topology, port=None):
        self.wire = Wire(topology, port)
        self.session = None
        self.id = 0
        self.lost_sessions = 0

    def _post(self, method, params, is_request=True):
        self.id += 1
        message = {"jsonrpc": "2.0", "method": method, "params": params} | ({"id": self.id} if is_request else {})
        headers = {"Accept": "application/json, text/event-stream"}
        if self.session:
            headers |= {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": "2025-06-18"}
        return self.wire.ask("POST", "/mcp", message, headers)

    def _connect(self):
        begin = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}}
        status, headers, body = self._post("initialize", begin)
        checked(status, body)
        self.session = headers["Mcp-Session-Id"]
        status, _, body = self._post("notifications/initialized", {}, is_request=False)
        self._is_known(status)
        checked(status, body)

    def _is_known(self, status):
        if status == 404:
            self.session = None
            self.lost_sessions += 1
            raise Refused("the session is unknown")

    def call(self, tool, arguments):
        if not self.session:
            try:
                self._connect()
            except InDoubt as error:
                self.session = None
                raise Refused(str(error)) from error
        status, _, body = self._post("tools/call", {"name": tool, "arguments": arguments})
        self._is_known(status)
        checked(status, body)
        text = body.decode()
        messages = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
        messages = [json.loads(message) for message in messages or [text]]
        answers = [message for message in messages if message.get("id") == self.id]
        if not answers:
            raise InDoubt("the stream ended without an answer")
        if "error" in answers[0]:
            raise InDoubt(f"{answers[0]['error']}")
        result = answers[0]["result"]
        if result.get("isError"):
            said = result["content"][0]["text"]
            failed(said.removeprefix("ERROR ").split(":")[0], said)
        return result["structuredContent"]


class Draft:
    def __init__(self, draft_id):
        self.id = draft_id
        self.lock = threading.Lock()
        self.edits = {}
        self.counts = collections.Counter()

    def next_edit(self, client):
        """The mark of an edit, with the place of its text; None if the draft has enough."""
        with self.lock:
            if len(self.edits) >= EDITS:
                return None
            at = self.counts[client]
            self.counts[client] += 1
            mark = f"mark-{client}-{at}"
            self.edits[mark] = "in doubt"
            return mark, at * 0.2


class Load:
    def __init__(self, topology, clients, drafts):
        self.topology, self.ending = topology, threading.Event()
        self.lock = threading.Lock()
        self.drafts = []
        self.open = [None] * drafts
        self.outcomes = collections.Counter()
        self.acknowledged = 0
        self.faults = []
        kinds = [Mcp, Api]
        self.clients = [kinds[at % 2](topology) for at in range(clients)]
        self.threads = [self._thread(self.edit, at) for at in range(clients)]

    def _thread(self, work, *arguments):
        def guarded():
            try:
                work(*arguments)
            except BaseException as error:  # the test reports it
                self.faults.append(f"{work.__name__}: {type(error).__name__}: {error}")
                self.ending.set()

        return threading.Thread(target=guarded, daemon=True)

    def _draft(self, client, slot):
        with self.lock:
            if self.open[slot]:
                return self.open[slot]
        made = Draft(client.call("create_draft", {"width": 720, "height": 1280})["draft_id"])
        with self.lock:
            self.drafts.append(made)
            self.open[slot] = self.open[slot] or made
            return self.open[slot]

    def edit(self, number):
        client, chance = self.clients[number], random.Random(number)
        while not self.ending.is_set():
            slot = chance.randrange(len(self.open))
            try:
                draft = self._draft(client, slot)
            except (Refused, InDoubt) as error:
                self._count(client, "create_draft", error)
                time.sleep(0.1)
                continue
            place = draft.next_edit(number)
            if place is None:
                with self.lock:
                    if self.open[slot] is draft:
                        self.open[slot] = None
                continue
            mark, start = place
            arguments = {"draft_id": draft.id, "text": mark, "start": start, "end": start + 0.1}
            arguments["track_name"] = f"client-{number}"
            try:
                client.call("add_text", arguments)
                draft.edits[mark] = "acknowledged"
                self.outcomes["acknowledged"] += 1
                self.acknowledged += 1
            except Refused as error:
                draft.edits[mark] = "refused"
                self._count(client, "refused", error)
                time.sleep(0.1)
            except InDoubt as error:
                self._count(client, "in doubt", error)
                time.sleep(0.1)

    def _count(self, client, what, error):
        self.outcomes[what] += 1
        self.outcomes[f"    {what} over {client.name}: {error}"] += 1

    def run(self):
        for thread in self.threads:
            thread.start()

    def finish(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a client does not end"
        assert not self.faults, self.faults


class Failures:
    """Kills replicas until the time is over."""

    def __init__(self, topology, load, seconds):
        self.topology, self.load, self.seconds = topology, load, seconds
        self.counts = collections.Counter()
        self.chance = random.Random(1)

    def run(self):
        begun = time.monotonic()
        plan = [(at, self.kill_replica) for at in range(5, self.seconds - 4, 5)]
        threads = []
        for at, failure in sorted(plan, key=lambda step: step[0]):
            while time.monotonic() < begun + at:
                if self.load.ending.wait(0.1):
                    break
            if self.load.ending.is_set():
                break
            threads.append(self.load._thread(failure))
            threads[-1].start()
        while time.monotonic() < begun + self.seconds and not self.load.ending.wait(0.2):
            pass
        for thread in threads:
            thread.join(60)

    def kill_replica(self):
        process = self.chance.choice(self.topology.replicas)
        process.kill()
        self.counts["replicas killed"] += 1
        time.sleep(1)
        process.start()


def marks(script):
    """How often each mark is in a draft."""
    document = json.loads(script)
    materials = {text["id"]: json.loads(text["content"])["text"] for text in document["materials"]["texts"]}
    placed = [segment["material_id"] for track in document["tracks"] for segment in track["segments"]]
    return collections.Counter(materials[material] for material in placed if material in materials)


def patiently(work):
    """The result of a call that is repeated until it is answered; for calls that only read."""
    end = time.monotonic() + 60
    while True:
        try:
            return work()
        except (Refused, InDoubt):
            assert time.monotonic() < end, "the replicas do not recover"
            time.sleep(0.2)


def compare(topology, load):
    """Every draft as each replica shows it, with what was acknowledged."""
    problems = []
    present = 0
    replicas = [Api(topology, port) for port in topology.ports]
    for draft in load.drafts:
        shown = []
        for replica in replicas:
            output = patiently(lambda: replica.call("query_script", {"draft_id": draft.id, "force_update": False}))
            shown.append(marks(output if isinstance(output, str) else output["script"]))
        if any(other != shown[0] for other in shown):
            problems.append(f"{draft.id}: the replicas show different drafts")
        for mark, count in shown[0].items():
            if mark not in draft.edits:
                problems.append(f"{draft.id}: {mark} was never sent")
            elif count > 1:
                problems.append(f"{draft.id}: {mark} ({draft.edits[mark]}) is there {count} times")
        for mark, outcome in draft.edits.items():
            if outcome == "acknowledged" and not shown[0][mark]:
                problems.append(f"{draft.id}: {mark} was acknowledged and is not there")
            if outcome == "refused" and shown[0][mark]:
                problems.append(f"{draft.id}: {mark} was refused and is there")
            present += outcome == "in doubt" and shown[0][mark] > 0
    print(f"{len(load.drafts)} drafts; {present} edits in doubt had been applied")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    with local.running(given.executable, settings=SETTINGS) as topology:
        load = Load(topology, given.clients, drafts=6)
        load.run()
        failures = Failures(topology, load, given.seconds)
        failures.run()
        load.finish()
        for what, count in sorted(failures.counts.items()):
            print(f"{what}: {count}")
        for what, count in load.outcomes.items():
            print(f"{what}: {count}")
        problems = compare(topology, load)
        assert load.acknowledged > 100, "hardly any edit was acknowledged"
        took = topology.stop()
        print("ended within " + ", ".join(f"{seconds:.1f} s ({name})" for name, seconds in sorted(took.items())))
    if problems:
        print("\n".join(problems[:30]))
        sys.exit(f"error: {len(problems)} problems")
    print(f"{load.acknowledged} acknowledged edits: each is there exactly once")


if __name__ == "__main__":
    main()

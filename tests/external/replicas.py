"""Replicas under load and failures: replicas.py EXECUTABLE [--store sqlite]

Clients over MCP and over the CapCut API edit shared drafts through nginx, and others start jobs, while replicas and
workers are killed, replicas are stopped and continued, and the database is stopped as by a crash. At the end every edit
that was acknowledged has to be in its draft exactly once, every other edit at most once, and every job has to have ended
once. Takes about a minute, with CAPCUT_TEST_FULL=1 about 5 minutes. deploy/local.py starts the programs.
"""

import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy"))
import local  # noqa: E402

SECONDS = 300 if os.environ.get("CAPCUT_TEST_FULL") else 60
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
# What a job says until it has ended; an interrupted one is taken over.
UNFINISHED = {"waiting", "running", "interrupted"}
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
    """A client of MCP over Streamable HTTP with a session, whose requests reach any replica."""

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
        self.jobs = {}
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

    def compose(self, number):
        """Starts jobs, each with a key, until an answer names the job; then waits for its end."""
        client = Mcp(self.topology)
        while not self.ending.is_set():
            key = str(uuid.uuid4())
            texts = [{"text": f"job {key} {at}", "start": at, "end": at + 1} for at in range(20)]
            plan = {"name": f"job-{key}", "texts": texts}
            arguments = {"plan": plan, "idempotency_key": key, "wait_s": 0}
            self.jobs[key] = state = {"ids": set(), "ended": None, "number": number}
            while state["ended"] is None and time.monotonic() < self.last_moment:
                try:
                    if not state["ids"] or random.random() < 0.2:
                        report = client.call("compose_draft", arguments)
                    else:
                        report = client.call("job_status", {"job_id": next(iter(state["ids"])), "wait_s": 2})
                except (Refused, InDoubt) as error:
                    self.outcomes[f"    jobs: {error}"] += 1
                    time.sleep(0.2)
                    continue
                state["ids"].add(report["job_id"])
                if report["status"] not in UNFINISHED:
                    state["ended"] = report["status"]

    def run(self, seconds, jobs):
        self.last_moment = time.monotonic() + seconds + 90
        self.threads += [self._thread(self.compose, at) for at in range(jobs)]
        for thread in self.threads:
            thread.start()

    def finish(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a client does not end"
        assert not self.faults, self.faults


class Failures:
    """Kills, stops and continues programs until the time is over."""

    def __init__(self, topology, load, seconds):
        self.topology, self.load, self.seconds = topology, load, seconds
        self.counts = collections.Counter()
        self.chance = random.Random(1)
        self.stopped = set()
        self.killing = threading.Lock()
        self.stopping = threading.Lock()
        self.is_over = threading.Event()
        self.problems = []

    def run(self):
        begun = time.monotonic()
        plan = [(at, self.kill_replica) for at in range(5, self.seconds - 4, 5)]
        plan += [(at + 2.5, self.kill_worker) for at in range(5, self.seconds - 8, 10)] if self.topology.workers else []
        if self.topology.postgres:
            plan += [(self.seconds * part, self.stop_database) for part in [0.2, 0.5, 0.75]]
        if len(self.topology.replicas) > 1:
            plan += [(self.seconds * 0.25, self.stop_replica)]
        threads = [self.load._thread(self.supervise)]
        threads[0].start()
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
        for thread in threads[1:]:
            thread.join(60)
        local.until("everything runs", self._runs)
        self.is_over.set()
        threads[0].join()

    def _runs(self):
        processes = [*self.topology.replicas, *self.topology.workers]
        return all(process.is_running() for process in processes) and all(map(local.listens, self.topology.ports))

    def _kill(self, processes, what):
        with self.killing:
            running = [process for process in processes if process.is_running() and process not in self.stopped]
            if not running:
                return
            process = self.chance.choice(running)
            process.kill()
            self.counts[what] += 1
            time.sleep(1)
            process.start()

    def supervise(self):
        """Starts what ended by itself again, as service managers do: a server that finds no database does not start."""
        while not self.is_over.wait(0.5):
            with self.killing:
                for process in [*self.topology.replicas, *self.topology.workers]:
                    if not process.is_running():
                        process.start()
                        self.counts["started again after it had ended"] += 1

    def kill_replica(self):
        self._kill(self.topology.replicas, "replicas killed")

    def kill_worker(self):
        self._kill(self.topology.workers, "workers killed")

    def stop_replica(self):
        """A replica, and a worker if there are any, sleep beyond their leases, and go on."""
        chosen = [self.topology.replicas[-1]] + self.topology.workers[-1:]
        with self.killing:
            self.stopped.update(chosen)
        local.until("the replica runs", lambda: all(process.is_running() for process in chosen))
        for process in chosen:
            process.signal(signal.SIGSTOP)
        time.sleep(3)
        # By then a replica that does not answer gets no requests any more.
        self.topology.balance(self.topology.replicas[:-1])
        time.sleep(max(20, min(40, self.seconds * 0.2)))
        for process in chosen:
            process.signal(signal.SIGCONT)
        self.topology.balance(self.topology.replicas)
        self.counts["replicas and workers stopped and continued"] += len(chosen)
        with self.killing:
            self.stopped.difference_update(chosen)

    def stop_database(self):
        with self.stopping:
            self.counts["database stopped"] += 1
            self.topology.postgres.stop("immediate")
            if self.counts["database stopped"] == 3:
                self._without_database()
            time.sleep(1)
            self.topology.postgres.start()
        before = self.load.acknowledged
        local.until("edits are acknowledged again", lambda: self.load.acknowledged > before)

    def _without_database(self):
        """For 10 seconds, every answer is a clear failure, and readiness says what is missing."""
        end = time.monotonic() + 10
        said = collections.Counter()
        while time.monotonic() < end:
            replicas = [
                port for port, replica in zip(self.topology.ports, self.topology.replicas) if replica not in self.stopped
            ]
            # Killed replicas do not answer at all.
            with contextlib.suppress(InDoubt):
                status, _, body = Wire(self.topology, self.chance.choice(replicas)).ask("GET", "/ready")
                said[status] += 1
                if status == 503:
                    checks = json.loads(body)["checks"]
                    assert any(state != "ok" for state in checks.values()), checks
            time.sleep(0.2)
        if said[200] or not said[503]:
            self.problems.append(f"answers of /ready while the database was away: {dict(said)}")


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


def compare_jobs(topology, load):
    client = Mcp(topology)
    problems = []
    for key, job in load.jobs.items():
        if job["ended"] not in {"success", "complete", "done"}:
            problems.append(f"job {key} did not end well: {job}")
        if len(job["ids"]) != 1:
            problems.append(f"key {key} started several jobs: {job}")
        listed = patiently(lambda: client.call("list_drafts", {"query": f"job-{key}"}))["drafts"]
        if len(listed) != 1:
            problems.append(f"job {key} made {len(listed)} drafts")
    print(f"{len(load.jobs)} jobs")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable")
    parser.add_argument("--store", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    has_jobs = given.store == "postgres"
    replicas = 3 if given.store == "postgres" else 1
    with local.running(given.executable, store=given.store, replicas=replicas, settings=SETTINGS) as topology:
        load = Load(topology, given.clients, drafts=6)
        load.run(given.seconds, jobs=2 if has_jobs else 0)
        failures = Failures(topology, load, given.seconds)
        failures.run()
        load.finish()
        for what, count in sorted(failures.counts.items()):
            print(f"{what}: {count}")
        for what, count in load.outcomes.items():
            print(f"{what}: {count}")
        problems = failures.problems + compare(topology, load)
        if has_jobs:
            problems += compare_jobs(topology, load)
            lost = sum(client.lost_sessions for client in load.clients if isinstance(client, Mcp))
            if lost:
                problems.append(f"{lost} requests of sessions that another replica opened were refused")
        else:
            print("jobs with keys: only with PostgreSQL")
        assert load.acknowledged > 100, "hardly any edit was acknowledged"
        took = topology.stop()
        print("ended within " + ", ".join(f"{seconds:.1f} s ({name})" for name, seconds in sorted(took.items())))
    if problems:
        print("\n".join(problems[:30]))
        sys.exit(f"error: {len(problems)} problems")
    print(f"{load.acknowledged} acknowledged edits: each is there exactly once")


if __name__ == "__main__":
    main()

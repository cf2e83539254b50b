#!/usr/bin/env python3
"""Starts what compose.yaml describes from programs of this computer, without containers: local.py EXECUTABLE

PostgreSQL, an S3 server (tests/s3-server), replicas, workers and nginx with TLS listen on free ports of 127.0.0.1. The
output says how to use them. Ctrl-C or SIGTERM ends everything and removes its folder.

Needs Python 3.11, openssl, nginx and PostgreSQL 15 (Debian: nginx-light, postgresql), and cargo for the S3 server. Root
is needed for replicas with separate data folders at the same path, as on several computers; without it they share one.
"""

import argparse
import contextlib
import glob
import os
import pathlib
import pwd
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUCKET = "capcut"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, done, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def listens(port):
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def program(name, *folders):
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *folders]))
    if not found:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def run(*line, **options):
    ran = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if ran.returncode != 0:
        raise RuntimeError(f"{line[0]} failed: {ran.stdout}{ran.stderr}")
    return ran.stdout


class Program:
    """A process with its log in a file; started and ended any number of times."""

    def __init__(self, name, line, log, environment=None, user=None):
        self.name, self.line, self.log = name, [str(word) for word in line], log
        self.environment = environment
        self.user = user
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                user=self.user,
                # Ctrl-C reaches this script only, which ends its programs in order.
                start_new_session=True,
            )

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def end(self, seconds=30):
        """SIGTERM, and SIGKILL if that does not end it. Returns the seconds that it took."""
        if not self.is_running():
            return 0.0
        begun = time.monotonic()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.monotonic() - begun

    def last_lines(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-20:])


class Postgres:
    def __init__(self, work):
        binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
        self.data, self.port = work / "database", free_port()
        self.password = secrets.token_hex(16)
        self.control = program("pg_ctl", *binaries)
        # PostgreSQL refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        folder = work / "postgres"
        folder.mkdir(mode=0o700)
        self.data = folder / "data"
        (folder / "password").write_text(self.password)
        if self.user:
            owner = pwd.getpwnam(self.user)
            for path in [folder, folder / "password"]:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run(program("initdb", *binaries), "--auth=scram-sha-256", "--username=capcut", "--no-sync",
                  f"--pwfile={folder}/password", "--encoding=UTF8", "--locale=C.UTF-8", str(self.data))
        certificate(folder, "localhost", self.user)
        with open(self.data / "postgresql.conf", "a") as settings:
            settings.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{folder}'\n"
                f"max_connections = 200\nssl = on\nssl_cert_file = '{folder}/certificate.pem'\n"
                f"ssl_key_file = '{folder}/key.pem'\n"
            )
        self.log = folder / "log"

    def _run(self, *line):
        return run(*line, user=self.user, cwd="/")

    def start(self):
        # What pg_ctl starts keeps its output open, so that goes to a file.
        with open(os.devnull, "wb") as nothing:
            started = subprocess.run([self.control, "-D", self.data, "-l", self.log, "-w", "start"], user=self.user,
                                     cwd="/", stdin=subprocess.DEVNULL, stdout=nothing, stderr=nothing)
        if started.returncode != 0:
            raise RuntimeError(f"PostgreSQL does not start:\n{self.log.read_text()[-2000:]}")

    def stop(self, mode="fast"):
        """`immediate` is as a crash: connections break, and the next start recovers from the log."""
        if (self.data / "postmaster.pid").exists():
            self._run(self.control, "-D", str(self.data), "-m", mode, "-w", "stop")

    def url(self, database="postgres"):
        return f"postgres://capcut:{self.password}@127.0.0.1:{self.port}/{database}?sslmode=require"

    def query(self, text):
        """The lines that psql prints for a statement."""
        return run(program("psql"), self.url(), "-XAtqc", text).splitlines()


def certificate(folder, name, user=None):
    """A certificate for a name and 127.0.0.1 that signs itself: certificate.pem and key.pem in the folder."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
        "-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem")
    if user:
        for file in ["key.pem", "certificate.pem"]:
            owner = pwd.getpwnam(user)
            os.chown(folder / file, owner.pw_uid, owner.pw_gid)


def replaced(text, changes):
    """The text with each pattern replaced, which occurs exactly once."""
    for pattern, new in changes:
        text, count = re.subn(pattern, lambda _: new, text, flags=re.S | re.M)
        assert count == 1, f"{pattern!r} occurs {count} times"
    return text


class Topology:
    """All programs. `store` is "postgres", or "sqlite" for a single replica on a journal in its data folder."""

    def __init__(self, executable, work, store="postgres", replicas=3, workers=2, settings=""):
        self.executable, self.work = pathlib.Path(executable).resolve(), pathlib.Path(work)
        # The workers of nginx and PostgreSQL are other users if root starts them.
        self.work.chmod(0o711)
        self.store = store
        self.token = secrets.token_hex(24)
        self.postgres = Postgres(self.work) if store == "postgres" else None
        self.logs = self.work / "logs"
        self.logs.mkdir()
        self.ports = [free_port() for _ in range(replicas)]
        self.metrics = [free_port() for _ in range(replicas + workers)]
        self.port = free_port()
        self._secrets()
        self.s3 = self._s3()
        self.s3_port = None
        self.settings = settings
        self.is_separate = os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"]).returncode == 0
        self.data = self.work / "data"
        self.data.mkdir()
        self.replicas = [self._replica(at) for at in range(replicas)]
        self.workers = [self._worker(at) for at in range(workers)] if store == "postgres" else []
        self.nginx = self._nginx()
        self.url = f"https://localhost:{self.port}"
        self.tls = ssl.create_default_context(cafile=self.work / "certificate.pem")

    def _secrets(self):
        self.keys = {
            "tokens": f"team {self.token}",
            "s3_key_id": secrets.token_hex(10),
            "s3_secret": secrets.token_hex(20),
        }
        if self.postgres:
            self.keys["store_url"] = self.postgres.url()
        for name, text in self.keys.items():
            (self.work / name).write_text(text)
            (self.work / name).chmod(0o600)

    def _s3(self):
        target = ROOT / "target/s3-server"
        run("cargo", "build", "--quiet", "--locked", "--manifest-path", str(ROOT / "tests/s3-server/Cargo.toml"),
            "--target-dir", str(target))
        buckets = self.work / "buckets"
        (buckets / BUCKET).mkdir(parents=True)
        line = [target / "debug/s3-server", buckets, self.keys["s3_key_id"], self.keys["s3_secret"]]
        return Program("s3", line, self.logs / "s3")

    def _environment(self):
        kept = ["PATH", "LANG", "TMPDIR"]
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {
            "HOME": str(self.data),
            "CAPCUT_MCP_DATA_DIR": str(self.data),
            "CAPCUT_MCP_CONFIG": str(self.work / "tools.toml"),
            "CAPCUT_MCP_TOKENS_FILE": str(self.work / "tokens"),
            "AWS_ACCESS_KEY_ID_FILE": str(self.work / "s3_key_id"),
            "AWS_SECRET_ACCESS_KEY_FILE": str(self.work / "s3_secret"),
        }
        if self.postgres:
            environment["CAPCUT_MCP_STORE_FILE"] = str(self.work / "store_url")
        return environment

    def _capcut(self, name, line):
        """A process of the executable, whose data folder is at the same path as that of all others."""
        line = [self.executable, *line]
        own = self.data
        if self.is_separate:
            own = self.work / f"data-of-{name}"
            own.mkdir()
            mount = 'mount --make-rprivate / && mount --bind "$0" "$1" && shift && exec "$@"'
            line = ["unshare", "--mount", "sh", "-ec", mount, own, self.data, *line]
        return Program(name, line, self.logs / name, self._environment())

    def _replica(self, at):
        line = ["serve", f"--http=127.0.0.1:{self.ports[at]}", f"--metrics=127.0.0.1:{self.metrics[at]}",
                "--backend=embedded", f"--public-url=https://localhost:{self.port}"]
        if self.workers_are_separate():
            line.append("--workers=0")
        return self._capcut(f"replica-{at + 1}", line)

    def workers_are_separate(self):
        return self.store == "postgres"

    def _worker(self, at):
        port = self.metrics[len(self.ports) + at]
        return self._capcut(f"worker-{at + 1}", ["worker", f"--metrics=127.0.0.1:{port}"])

    def _tools(self):
        text = (ROOT / "deploy/tools.toml").read_text()
        text = replaced(text, [(r'"172\.31\.240\.0/24"', '"127.0.0.1"'), ("http://s3:9000", f"http://127.0.0.1:{self.s3_port}")])
        (self.work / "tools.toml").write_text(text + self.settings)

    def _nginx(self):
        certificate(self.work, "localhost")
        temporary = self.work / "nginx"
        temporary.mkdir(mode=0o777)
        temporary.chmod(0o777)
        text = (ROOT / "deploy/nginx.conf").read_text().replace("/tmp/", f"{temporary}/")
        text = replaced(text, [
            # Debian's nginx cannot follow names; the addresses do not change here.
            (r"^ *resolver .*?;\n", ""),
            (r"listen 8443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            (r"listen 127\.0\.0\.1:8081;", f"listen 127.0.0.1:{free_port()};"),
            (r"/run/secrets/tls_certificate", f"{self.work}/certificate.pem"),
            (r"/run/secrets/tls_key", f"{self.work}/key.pem"),
            (r"/dev/stderr", f"{self.logs}/nginx"),
            (r"/dev/stdout", f"{self.logs}/nginx-calls"),
        ])
        self.nginx_configuration = text
        self._write_nginx(self.replicas)
        line = [program("nginx"), "-p", self.work, "-c", self.work / "nginx.conf", "-e", self.logs / "nginx"]
        return Program("nginx", [*line, "-g", "daemon off;"], self.logs / "nginx")

    def _write_nginx(self, replicas):
        """The configuration in which these replicas get requests."""
        ports = [port for port, replica in zip(self.ports, self.replicas) if replica in replicas]
        servers = "".join(f"        server 127.0.0.1:{port} max_fails=0;\n" for port in ports)
        text = replaced(self.nginx_configuration, [(r"^ *server capcut:8080 resolve max_fails=0;\n", servers)])
        (self.work / "nginx.conf").write_text(text)

    def balance(self, replicas):
        """From now on, new requests are for these replicas, as when an orchestrator finds that others do not answer."""
        self._write_nginx(replicas)
        self.nginx.signal(signal.SIGHUP)

    def start(self):
        if self.postgres:
            self.postgres.start()
        self.s3.start()
        until("the S3 server says its port", lambda: re.match(r"\d+\n", self.s3.last_lines()))
        self.s3_port = int(self.s3.last_lines())
        self._tools()
        for process in [*self.replicas, *self.workers, self.nginx]:
            process.start()
        for at, replica in enumerate(self.replicas):
            self.wait_for(replica, self.ports[at])
        for at, worker in enumerate(self.workers):
            self.wait_for(worker, self.metrics[len(self.ports) + at])
        self.wait_for(self.nginx, self.port)
        until("the replicas are ready", lambda: self.get("/ready")[0] == 200)

    def wait_for(self, process, port):
        def answers():
            if not process.is_running():
                raise RuntimeError(f"{process.name} ended:\n{process.last_lines()}")
            return listens(port)

        until(f"{process.name} answers", answers)

    def get(self, path):
        """The status and the body of an answer through nginx."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def stop(self):
        """Ends everything, servers first, and returns the seconds that each server took."""
        servers = [process for process in [*self.replicas, *self.workers] if process.is_running()]
        took = {}
        ends = [threading.Thread(target=lambda server=server: took.update({server.name: server.end()})) for server in servers]
        for end in ends:
            end.start()
        for end in ends:
            end.join()
        for process in [self.nginx, self.s3]:
            process.end()
        if self.postgres:
            self.postgres.stop()
        return took


@contextlib.contextmanager
def running(executable, **options):
    with tempfile.TemporaryDirectory(prefix="capcut-") as work:
        topology = Topology(executable, work, **options)
        try:
            topology.start()
            yield topology
        finally:
            topology.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable")
    parser.add_argument("--store", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.store == "sqlite":
        given.replicas = 1
    ended = threading.Event()
    for number in [signal.SIGINT, signal.SIGTERM]:
        signal.signal(number, lambda *_: ended.set())
    with running(given.executable, store=given.store, replicas=given.replicas, workers=given.workers) as topology:
        kind = "data folders of their own" if topology.is_separate else "one data folder"
        print(f"{len(topology.replicas)} replicas and {len(topology.workers)} workers with {kind}")
        print(f"MCP:         {topology.url}/mcp")
        print(f"token:       {topology.token}")
        print(f"certificate: {topology.work}/certificate.pem")
        print(f"logs:        {topology.logs}")
        if topology.postgres:
            print(f"database:    {topology.postgres.url()}")
        print(f"\ncurl --cacert {topology.work}/certificate.pem -H 'Authorization: Bearer {topology.token}' {topology.url}/ready")
        print("\nCtrl-C ends everything.", flush=True)
        ended.wait()


if __name__ == "__main__":
    sys.exit(main())

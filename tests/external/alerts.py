"""Prometheus and Alertmanager as in deploy, with a webhook: alerts.py EXECUTABLE

A server is watched, killed and started again: the webhook gets the alert, and then that it is resolved. Times of the
configurations are shortened. Needs `prometheus` and `prometheus-alertmanager` (Debian) on the PATH; says so without.
"""

import http.server
import json
import pathlib
import queue
import re
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy"))
import local  # noqa: E402

DEPLOY = local.ROOT / "deploy"


def webhook(received):
    """A server on a free port that puts each alert that it gets into a queue."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in message["alerts"]:
                received.put((alert["labels"]["alertname"], alert["status"], alert["annotations"]["summary"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def watched(executable, work, port):
    """A server with metrics at a port that it keeps when it is started again."""
    line = [executable, "engine", "--port", "0", "--metrics", f"127.0.0.1:{port}", "--data-dir", work / "data"]
    return local.Program("server", line, work / "server.log")


def configurations(work, hook, target, manager):
    rules = (local.ROOT / "examples/monitoring/alerts.yml").read_text()
    (work / "alerts.yml").write_text(re.sub(r"\bfor: \d+m$", "for: 2s", rules, flags=re.M))
    (work / "prometheus.yml").write_text(
        local.replaced((DEPLOY / "prometheus.yml").read_text(), [
            (r"scrape_interval: 15s", "scrape_interval: 500ms"),
            (r"evaluation_interval: 15s", "evaluation_interval: 500ms"),
            (r"/etc/prometheus/alerts\.yml", f"{work}/alerts.yml"),
            (r"alertmanager:9093", f"127.0.0.1:{manager}"),
            # There is no name server for services here.
            (r"dns_sd_configs:.*", f'static_configs:\n      - targets: ["127.0.0.1:{target}"]\n'),
        ])
    )
    (work / "alertmanager.yml").write_text(
        local.replaced((DEPLOY / "alertmanager.yml").read_text(), [
            # The version of Debian 12 reads no address from a file.
            (r"url_file: /run/secrets/webhook_url", f"url: http://127.0.0.1:{hook}/alerts"),
            (r"group_wait: 10s", "group_wait: 1s"),
            (r"group_interval: 1m", "group_interval: 1s"),
        ])
    )


def expect(received, name, status):
    while True:
        alert = received.get(timeout=60)
        print(f"the webhook got: {alert[0]}, {alert[1]}: {alert[2]}")
        if alert[:2] == (name, status):
            return


def manager_line():
    """The command of Alertmanager; if its package is only unpacked, its templates are mounted where it looks for them."""
    command = pathlib.Path(shutil.which("prometheus-alertmanager"))
    templates = command.parents[1] / "share/prometheus"
    if templates == pathlib.Path("/usr/share/prometheus"):
        return [command]
    mount = 'mount -t tmpfs none /usr/share && mkdir /usr/share/prometheus && mount --bind "$0" /usr/share/prometheus && exec "$@"'
    return ["unshare", "--mount", "sh", "-ec", mount, templates, command]


def is_watched(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query=up") as answer:
            return b'"1"' in answer.read()
    except urllib.error.HTTPError:
        # It reads its data first.
        return False


def main(executable):
    missing = [name for name in ["prometheus", "prometheus-alertmanager"] if not shutil.which(name)]
    if missing:
        print(f"SKIPPED: there is no {' and no '.join(missing)}")
        return
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        received = queue.Queue()
        target, manager, own = local.free_port(), local.free_port(), local.free_port()
        configurations(work, webhook(received), target, manager)
        server = watched(pathlib.Path(executable).resolve(), work, target)
        programs = [
            server,
            local.Program("alertmanager", [
                *manager_line(), f"--config.file={work}/alertmanager.yml",
                f"--storage.path={work}/alertmanager", f"--web.listen-address=127.0.0.1:{manager}",
                "--cluster.listen-address=",
            ], work / "alertmanager.log"),
            local.Program("prometheus", [
                shutil.which("prometheus"), f"--config.file={work}/prometheus.yml",
                f"--storage.tsdb.path={work}/prometheus", f"--web.listen-address=127.0.0.1:{own}",
            ], work / "prometheus.log"),
        ]
        try:
            for process, port in zip(programs, [target, manager, own]):
                process.start()

                def answers():
                    assert process.is_running(), process.last_lines()
                    return local.listens(port)

                local.until(f"{process.name} answers", answers)
            # A server that was never seen would be "down", too.
            local.until("the server is watched", lambda: is_watched(own))
            server.kill()
            expect(received, "CapcutMcpDown", "firing")
            server.start()
            expect(received, "CapcutMcpDown", "resolved")
        finally:
            for process in reversed(programs):
                process.end()
    print("alerts reach the webhook: ok")


if __name__ == "__main__":
    main(sys.argv[1])

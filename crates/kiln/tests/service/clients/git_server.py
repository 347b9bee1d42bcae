"""A git server over TLS: git's own http-backend behind basic authentication, and servers that misbehave.

git_server.py ROOT CERTIFICATE KEY PORT_FILE REQUESTS USER PASSWORD [ELSEWHERE]

The first part of a path says how: /public/, /private/ (user and password), /forbidden/ (403 for everybody), /hang/ (no answer),
/cut/ (the connection ends in the middle of a pack), /moved/ (redirects to ELSEWHERE). The rest is the repository below ROOT.
Objects of Git LFS are files of ROOT/lfs. Each request is a line of REQUESTS: its path, and what it said for its authorization. REQUESTS.sent has the sizes of what git answered.
"""

import base64
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time

root, certificate, key, port_file, requests, user, password = sys.argv[1:8]
elsewhere = sys.argv[8] if len(sys.argv) > 8 else ""
right = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self):
        with lock, open(requests, "a") as log:
            log.write(f"{self.path} {self.headers.get('Authorization', '-')}\n")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        kind, _, rest = path.lstrip("/").partition("/")
        if kind == "hang":
            time.sleep(3600)
        if kind == "moved":
            return self.answer(302, headers=[("Location", f"{elsewhere}/private/{rest}?{query}")])
        if kind == "forbidden":
            return self.answer(403)
        if kind == "private" and self.headers.get("Authorization") != right:
            return self.answer(401, b"who are you", [("WWW-Authenticate", 'Basic realm="git"')])
        if kind not in ("public", "private", "cut"):
            return self.answer(404)
        if rest.endswith("/info/lfs/objects/batch"):
            return self.batch(kind, json.loads(body))
        if rest.startswith("lfs/"):
            path = os.path.join(root, "lfs", os.path.basename(rest))
            if not os.path.exists(path):
                return self.answer(404)
            with open(path, "rb") as file:
                return self.answer(200, file.read())
        self.backend(kind, rest, query, body)

    do_GET = do_POST = lambda self: self.handle_one()

    def batch(self, kind, asked):
        base = f"https://{self.headers['Host']}/{kind}/lfs"
        header = {"Authorization": right} if kind == "private" else {}
        objects = [
            {**o, "actions": {"download": {"href": f"{base}/{o['oid']}", "header": header}}} for o in asked["objects"]
        ]
        body = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self.answer(200, body, [("Content-Type", "application/vnd.git-lfs+json")])

    def backend(self, kind, rest, query, body):
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROJECT_ROOT": root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + rest,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, stdout=subprocess.PIPE, env=variables)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if ": " in line]
        with lock, open(requests + ".sent", "a") as log:
            log.write(f"{len(content)}\n")
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        if kind == "cut" and self.command == "POST" and b"packfile" in content:
            self.send_response(200)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.answer(status, content, [(n, v) for n, v in headers if n not in ("Status", "Content-Length")])


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
with open(port_file + ".new", "w") as file:
    file.write(str(server.server_port))
os.rename(port_file + ".new", port_file)
server.serve_forever()

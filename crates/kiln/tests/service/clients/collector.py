"""A receiver of OTLP over HTTP that reads requests by OpenTelemetry's own schema, and says a line of JSON for each.

Arguments: a port (0: any), and how many requests it refuses first. It ends with its standard input."""

import http.server
import json
import os
import sys
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

refuse = int(sys.argv[2])
say = threading.Lock()


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes(pairs):
    found = {pair.key: value(pair.value) for pair in pairs}
    assert len(found) == len(pairs), pairs
    return found


def span(message):
    assert len(message.trace_id) == 16 and len(message.span_id) == 8, message
    return {
        "trace": message.trace_id.hex(),
        "id": message.span_id.hex(),
        "parent": message.parent_span_id.hex(),
        "name": message.name,
        "kind": message.kind,
        "start": message.start_time_unix_nano,
        "end": message.end_time_unix_nano,
        "attributes": attributes(message.attributes),
        "status": message.status.code,
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        global refuse
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/x-protobuf", self.headers
        if refuse:
            refuse -= 1
            said, status, answer = {"refused": 503}, 503, b""
        else:
            request = ExportTraceServiceRequest.FromString(body)
            (of_resource,) = request.resource_spans
            (of_scope,) = of_resource.scope_spans
            assert of_scope.scope.name == "kiln" and of_scope.scope.version
            said = {
                "path": self.path,
                "headers": {name.lower(): text for name, text in self.headers.items()},
                "resource": attributes(of_resource.resource.attributes),
                "spans": [span(message) for message in of_scope.spans],
            }
            status, answer = 200, ExportTraceServiceResponse().SerializeToString()
        with say:
            print(json.dumps(said), flush=True)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print(json.dumps({"port": server.server_address[1]}), flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
os._exit(0)

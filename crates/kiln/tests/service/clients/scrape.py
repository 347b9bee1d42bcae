"""/-/metrics as Prometheus' own parsers read it. Arguments: how many builds succeeded, and how many failed."""

import os
import sys
import time
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

URL = os.environ["AWS_ENDPOINT_URL"] + "/-/metrics"
OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def scrape(families, headers, kind):
    with urllib.request.urlopen(urllib.request.Request(URL, headers=headers)) as answer:
        assert answer.headers["Content-Type"].startswith(kind), answer.headers
        text = answer.read().decode()
    found = {}
    for family in families(text):
        assert family.documentation and family.type != "unknown", family
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def check(found):
    def value(name, **labels):
        return found[name, tuple(sorted(labels.items()))]

    succeeded, failed = int(sys.argv[1]), int(sys.argv[2])
    assert value("kiln_builds_ended_total", status="SUCCEEDED") == succeeded
    assert value("kiln_builds_ended_total", status="FAILED") == failed
    assert value("kiln_builds_ended_total", status="STOPPED") == 0
    for name in ["kiln_build_duration_seconds", "kiln_build_queue_seconds"]:
        assert value(f"{name}_count") == value(f"{name}_bucket", le="+Inf") == succeeded + failed, name
        buckets = [v for (sample, labels), v in found.items() if sample == f"{name}_bucket"]
        assert buckets == sorted(buckets), name
    assert 0 < value("kiln_build_duration_seconds_sum") < 120 * (succeeded + failed)
    assert value("kiln_builds_queued") == value("kiln_builds_running") == 0
    assert value("kiln_builds_running_limit") >= 1
    assert value("kiln_ready") == 1
    calls = {"service": "codebuild", "operation": "StartBuild"}
    assert value("kiln_api_requests_total", code="OK", **calls) == succeeded + failed
    assert value("kiln_api_request_seconds_count", **calls) == succeeded + failed
    assert value("kiln_api_requests_total", service="codebuild", operation="CreateProject", code="OK") == 2
    assert value("kiln_api_received_bytes_total") > 100
    assert value("kiln_api_sent_bytes_total") > 100
    assert 1e6 < value("process_resident_memory_bytes") < 1e9
    assert 0 < value("process_cpu_seconds_total") < 600
    assert 3 <= value("process_open_fds") <= value("process_max_fds")
    assert time.time() - 600 < value("process_start_time_seconds") <= time.time() + 1
    assert value("kiln_database_bytes") > 4096
    assert 0 < value("kiln_disk_free_bytes") <= value("kiln_disk_size_bytes")
    # Nothing says what the projects are called.
    assert not any("good" in str(key) or "bad" in str(key) for key in found), found


# A build gives its place back a moment after its end can be seen.
for _ in range(300):
    if scrape(plain_families, {}, "text/plain")["kiln_builds_running", ()] == 0:
        break
    time.sleep(0.1)
check(scrape(plain_families, {}, "text/plain; version=0.0.4"))
check(scrape(open_families, {"Accept": OPEN}, "application/openmetrics-text; version=1.0.0"))
try:
    urllib.request.urlopen(urllib.request.Request(URL, headers={"X-Forwarded-For": "192.0.2.1"}))
    raise AssertionError("what comes by way of a proxy is let in")
except urllib.error.HTTPError as error:
    assert error.code == 403 and "metrics.token" in error.read().decode(), error

"""Calls a server in every protocol until it is gone. Each call is answered rightly, or with an error on which clients wait and call
again; a connection that is refused ends it. Anything else, as a connection that breaks off, is a failure, unless its client had
nothing to say for as long as the server keeps idle connections."""

import sys
import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=20, read_timeout=60)
LINGER = 0.4  # a little less than the server's half second
PASSING = {"ThrottlingException": 400, "Throttling": 400, "ServiceUnavailable": 503, "SlowDown": 503}


def client(service):
    return boto3.Session().client(service, config=ONCE)


def calls():
    s3 = client("s3")
    s3.create_bucket(Bucket="drain")
    s3.put_object(Bucket="drain", Key="key", Body=b"as it was")

    def get():
        assert s3.get_object(Bucket="drain", Key="key")["Body"].read() == b"as it was"

    put = client("s3")
    return {
        "codebuild": client("codebuild").list_projects,
        "sts": client("sts").get_caller_identity,
        "iam": client("iam").list_users,
        "cloudwatch": client("cloudwatch").list_metrics,
        "logs": client("logs").describe_log_groups,
        "get": get,
        "put": lambda: put.put_object(Bucket="drain", Key="key", Body=b"as it was"),
    }


def work(name, call, warm, results):
    try:
        while True:
            answered = time.monotonic()
            try:
                call()
                results.append("ok")
                warm.release()
            except ClientError as error:
                code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
                assert PASSING.get(code) == status, f"{name}: {error}"
                assert error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1", error.response
                results.append(code)
            except ConnectionClosedError:
                # On a machine that has much else to do a client may come too late with what it says.
                if time.monotonic() - answered < LINGER:
                    raise
                results.append("idle")
    except EndpointConnectionError:
        results.append("gone")
    except Exception as error:
        results.append(error)


warm, all_results, threads = threading.Semaphore(0), {}, []
for name, call in calls().items():
    results = all_results[name] = []
    threads.append(threading.Thread(target=work, args=(name, call, warm, results)))
for thread in threads:
    thread.start()
for _ in range(10 * len(threads)):
    warm.acquire()
print("calling", flush=True)
for thread in threads:
    thread.join()
wrong = {name: results[-1] for name, results in all_results.items() if results[-1] != "gone"}
print({name: len(results) for name, results in all_results.items()})
print({name: sorted({str(r) for r in results}) for name, results in all_results.items()})
assert not wrong, wrong
assert any(result in PASSING for results in all_results.values() for result in results), "nobody was told to come back"
sys.exit(0)

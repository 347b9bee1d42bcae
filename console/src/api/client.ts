// Calls, each signed here with the keys of the session. CodeBuild's go through the AWS SDK, those that AWS has none for
// through the Kiln API, whose requests have the same form.

import { Sha256 } from "@aws-crypto/sha256-js";
import { CodeBuildClient } from "@aws-sdk/client-codebuild";
import { HttpRequest } from "@smithy/protocol-http";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Session } from "../session";
import { TEXT } from "../text";

const TARGET = "Kiln_20261122";
const CLOUDWATCH_TARGET = "GraniteServiceVersion20100801";

/** Codes with which a service says that a key is unknown, or no longer good. */
const SIGNED_OUT = new Set([
  "UnrecognizedClientException",
  "ExpiredTokenException",
  "ExpiredToken",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "IncompleteSignatureException",
  "MissingAuthenticationTokenException",
]);

/** Codes of what is not there, and of what cannot be meant. */
const LASTING = new Set(["ResourceNotFoundException", "InvalidInputException", "ValidationException"]);

/** Why a call did not succeed, in the service's words. */
export class CallError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  get isDenied(): boolean {
    return this.code === "AccessDeniedException" || this.code === "AccessDenied";
  }

  get isSignedOut(): boolean {
    return SIGNED_OUT.has(this.code);
  }

  /** Whether asking again would be answered the same. */
  get isLasting(): boolean {
    return this.isDenied || this.isSignedOut || LASTING.has(this.code);
  }
}

/** Any error as a `CallError`; `undefined` for a call that was given up. */
export function callError(error: unknown): CallError | undefined {
  if (error instanceof CallError) return error;
  if (!(error instanceof Error)) return new CallError("Unknown", String(error));
  if (error.name === "AbortError") return undefined;
  // Browsers tell scripts no more of a connection that failed.
  if (error.name === "TypeError" || error.name === "TimeoutError")
    return new CallError("Unreachable", TEXT.unreachable);
  return new CallError(error.name, error.message);
}

export class Api {
  readonly codebuild: CodeBuildClient;
  private readonly signers: { kiln: SignatureV4; monitoring: SignatureV4 };

  constructor(readonly session: Session) {
    const { region, accessKeyId, secretAccessKey, sessionToken } = session;
    const credentials = { accessKeyId, secretAccessKey, sessionToken };
    this.codebuild = new CodeBuildClient({ endpoint: location.origin, region, credentials, maxAttempts: 3 });
    const signer = (service: string) => new SignatureV4({ service, region, credentials, sha256: Sha256 });
    this.signers = { kiln: signer("kiln"), monitoring: signer("monitoring") };
  }

  /** Calls an operation of the Kiln API whose answer is JSON. */
  async kiln<Output>(operation: string, input: object, signal?: AbortSignal): Promise<Output> {
    const answer = await this.send("kiln", `${TARGET}.${operation}`, input, signal);
    return (await answer.json()) as Output;
  }

  /** Calls an operation of CloudWatch's metrics; its JSON form, for which no client has to be loaded. */
  async cloudwatch<Output>(operation: string, input: object, signal?: AbortSignal): Promise<Output> {
    const answer = await this.send("monitoring", `${CLOUDWATCH_TARGET}.${operation}`, input, signal);
    return (await answer.json()) as Output;
  }

  /** Calls one whose answer is bytes. */
  async bytes(operation: string, input: object, signal?: AbortSignal): Promise<Response> {
    return this.send("kiln", `${TARGET}.${operation}`, input, signal);
  }

  private async send(
    service: "kiln" | "monitoring",
    target: string,
    input: object,
    signal?: AbortSignal,
  ): Promise<Response> {
    const body = JSON.stringify(input);
    const request = new HttpRequest({
      method: "POST",
      protocol: location.protocol,
      hostname: location.hostname,
      port: location.port === "" ? undefined : Number(location.port),
      path: "/",
      headers: {
        host: location.host,
        "content-type": service === "kiln" ? "application/x-amz-json-1.1" : "application/x-amz-json-1.0",
        "x-amz-target": target,
      },
      body,
    });
    const { headers } = await this.signers[service].sign(request);
    // The browser writes this one itself.
    delete headers.host;
    const answer = await fetch("/", { method: "POST", headers, body, signal, cache: "no-store", credentials: "omit" });
    if (answer.ok) return answer;
    const said = (await answer.json().catch(() => ({}))) as { __type?: string; message?: string };
    throw new CallError(said.__type?.split("#").pop() ?? `HTTP ${answer.status}`, said.message ?? answer.statusText);
  }
}

// Calls, each signed here with the keys of the session. CodeBuild's go through the AWS SDK, those that AWS has none for
// through the Kiln API, whose requests have the same form.

import { Sha256 } from "@aws-crypto/sha256-js";
import { CodeBuildClient } from "@aws-sdk/client-codebuild";
import { HttpRequest } from "@smithy/protocol-http";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Session } from "../session";
import { TEXT } from "../text";

/** Services whose calls are JSON, and for which no client has to be loaded: before the operation, and the version of JSON. */
const SERVICES = {
  kiln: ["Kiln_20261122", "1.1"],
  codebuild: ["CodeBuild_20161006", "1.1"],
  codecommit: ["CodeCommit_20150413", "1.1"],
  ecr: ["AmazonEC2ContainerRegistry_V20150921", "1.1"],
  monitoring: ["GraniteServiceVersion20100801", "1.0"],
  secretsmanager: ["secretsmanager", "1.1"],
  ssm: ["AmazonSSM", "1.1"],
} as const;

type Service = keyof typeof SERVICES;

const IAM_VERSION = "2010-05-08";

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
const UNSUPPORTED = new Set(["UnknownOperationException", "UnsupportedOperationException", "UnknownServiceException"]);

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

  /** Whether this server has no such operation. */
  get isUnsupported(): boolean {
    return UNSUPPORTED.has(this.code);
  }

  /** Whether asking again would be answered the same. */
  get isLasting(): boolean {
    return this.isDenied || this.isSignedOut || this.isUnsupported || LASTING.has(this.code);
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
  private readonly signers = new Map<string, SignatureV4>();

  constructor(readonly session: Session) {
    const { region } = session;
    const credentials = this.credentials();
    this.codebuild = new CodeBuildClient({ endpoint: location.origin, region, credentials, maxAttempts: 3 });
  }

  private credentials() {
    const { accessKeyId, secretAccessKey, sessionToken } = this.session;
    return { accessKeyId, secretAccessKey, sessionToken };
  }

  private signer(service: string): SignatureV4 {
    let signer = this.signers.get(service);
    if (!signer) {
      const { region } = this.session;
      signer = new SignatureV4({ service, region, credentials: this.credentials(), sha256: Sha256 });
      this.signers.set(service, signer);
    }
    return signer;
  }

  /** Calls an operation of the Kiln API whose answer is JSON. */
  kiln<Output>(operation: string, input: object, signal?: AbortSignal): Promise<Output> {
    return this.json("kiln", operation, input, signal);
  }

  /** Calls an operation of a service that speaks JSON. */
  async json<Output>(service: Service, operation: string, input: object, signal?: AbortSignal): Promise<Output> {
    const answer = await this.operation(service, operation, input, signal);
    const text = await answer.text();
    return (text === "" ? {} : JSON.parse(text)) as Output;
  }

  /** Calls one of the Kiln API whose answer is bytes. */
  bytes(operation: string, input: object, signal?: AbortSignal): Promise<Response> {
    return this.operation("kiln", operation, input, signal);
  }

  /** Calls an operation of IAM, which answers in XML: the element of its result. */
  async iam(action: string, parameters: Record<string, string>, signal?: AbortSignal): Promise<Element> {
    const body = new URLSearchParams({ Action: action, Version: IAM_VERSION, ...parameters }).toString();
    const type = "application/x-www-form-urlencoded; charset=utf-8";
    const answer = await this.send("iam", { "content-type": type }, body, signal);
    const xml = new DOMParser().parseFromString(await answer.text(), "text/xml").documentElement;
    if (answer.ok) return xml.querySelector(`${action}Result`) ?? xml;
    const said = (name: string) => xml.querySelector(`Error > ${name}`)?.textContent ?? undefined;
    throw new CallError(said("Code") ?? `HTTP ${answer.status}`, said("Message") ?? answer.statusText);
  }

  private async operation(service: Service, operation: string, input: object, signal?: AbortSignal): Promise<Response> {
    const [target, version] = SERVICES[service];
    const headers = { "content-type": `application/x-amz-json-${version}`, "x-amz-target": `${target}.${operation}` };
    const answer = await this.send(service, headers, JSON.stringify(input), signal);
    if (!answer.ok) throw await refusal(answer);
    return answer;
  }

  private async send(
    service: string,
    headers: Record<string, string>,
    body: string,
    signal?: AbortSignal,
  ): Promise<Response> {
    const request = new HttpRequest({
      method: "POST",
      protocol: location.protocol,
      hostname: location.hostname,
      port: location.port === "" ? undefined : Number(location.port),
      path: "/",
      headers: { host: location.host, ...headers },
      body,
    });
    const signed = (await this.signer(service).sign(request)).headers;
    // The browser writes this one itself.
    delete signed.host;
    const init = { method: "POST", headers: signed, body, signal } as const;
    return fetch("/", { ...init, cache: "no-store", credentials: "omit" });
  }
}

/** Why a call that is answered in JSON was refused. */
export async function refusal(answer: Response): Promise<CallError> {
  const said = (await answer.json().catch(() => ({}))) as { __type?: string; message?: string; Message?: string };
  const code = said.__type?.split("#").pop() ?? `HTTP ${answer.status}`;
  return new CallError(code, said.message ?? said.Message ?? answer.statusText);
}

/** Items of a list at most: a table of more is of no use to anybody. */
const MOST_ITEMS = 2000;

/** All pages of a list, one after the other, up to a bound. */
export async function pages<Item>(
  page: (token: string | undefined) => Promise<{ items: Item[] | undefined; next?: string }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let token: string | undefined;
  do {
    const { items, next } = await page(token);
    all.push(...(items ?? []));
    token = next === "" ? undefined : next;
  } while (token !== undefined && all.length < MOST_ITEMS);
  return all;
}

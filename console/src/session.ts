// Who is signed in. Keys are in this tab's sessionStorage alone: they go with the tab, and are sent to nobody; requests are
// signed with them.

export interface Session {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  region: string;
  /** Milliseconds since the epoch. */
  expiration?: number;
}

const NAME = "kiln.session";

export function load(now: number): Session | undefined {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(NAME) ?? "null");
    if (!isSession(kept) || (kept.expiration !== undefined && kept.expiration <= now)) return undefined;
    return kept;
  } catch {
    return undefined;
  }
}

export function keep(session: Session | undefined) {
  if (session) sessionStorage.setItem(NAME, JSON.stringify(session));
  else sessionStorage.removeItem(NAME);
}

function isSession(value: unknown): value is Session {
  const some = value as Partial<Session> | null;
  return (
    typeof some === "object" &&
    some !== null &&
    typeof some.accessKeyId === "string" &&
    typeof some.secretAccessKey === "string" &&
    typeof some.region === "string"
  );
}

/** The secret of a link of `kiln console`, out of the fragment of the address. */
export function linkOf(fragment: string): string | undefined {
  return /^#link=([A-Za-z0-9]{20,})$/.exec(fragment)?.[1];
}

export class LinkRefused extends Error {}

/** Hands a link in, once, for a session. */
export async function open(link: string): Promise<Session> {
  const answer = await fetch("/-/sign-in", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ link }),
    cache: "no-store",
    credentials: "omit",
  });
  const body = (await answer.json()) as Record<string, unknown>;
  if (!answer.ok) throw new LinkRefused(String(body.message));
  return {
    accessKeyId: String(body.accessKeyId),
    secretAccessKey: String(body.secretAccessKey),
    sessionToken: String(body.sessionToken),
    region: String(body.region),
    expiration: Number(body.expiration) * 1000,
  };
}

/** Keys as people have them at hand: `NAME=value` lines of `kiln env`, an AWS CLI profile, or an answer of STS in JSON. */
export function pasted(text: string): Partial<Session> {
  const found: Partial<Session> = {};
  const names: [keyof Session & ("accessKeyId" | "secretAccessKey" | "sessionToken" | "region"), RegExp][] = [
    ["accessKeyId", /(?:aws_access_key_id|"accesskeyid")\s*[:=]\s*["']?([\w]{8,128})/i],
    ["secretAccessKey", /(?:aws_secret_access_key|"secretaccesskey")\s*[:=]\s*["']?([^\s"',]{8,})/i],
    ["sessionToken", /(?:aws_session_token|"sessiontoken")\s*[:=]\s*["']?([^\s"',]{8,})/i],
    ["region", /(?:aws_region|aws_default_region|\bregion)\s*[:=]\s*["']?([a-z0-9-]{4,})/i],
  ];
  for (const [name, pattern] of names) {
    const value = pattern.exec(text)?.[1];
    if (value !== undefined) found[name] = value;
  }
  return found;
}

// What IAM answers, out of its XML.

import { type Api, pages } from "./client";

export interface User {
  name: string;
  arn: string;
  created: string;
}

export interface Role extends User {
  trust: string;
  description?: string;
}

export interface Policy {
  name: string;
  arn: string;
  attachments: number;
  updated: string;
  version: string;
  description?: string;
}

export interface AccessKey {
  id: string;
  status: "Active" | "Inactive";
  created: string;
}

export interface AttachedPolicy {
  name: string;
  arn: string;
}

/** Users and roles have policies in the same way. */
export type Kind = "User" | "Role";

function text(of: Element, name: string): string | undefined {
  // Of itself, not of what stands deeper.
  for (const child of of.children) if (child.localName === name) return child.textContent ?? "";
  return undefined;
}

/** The members of a list. */
function members(of: Element, list: string): Element[] {
  for (const child of of.children) if (child.localName === list) return [...child.children];
  return [];
}

/** All members of a list of IAM, page by page. */
function all<Item>(
  api: Api,
  action: string,
  parameters: Record<string, string>,
  list: string,
  item: (member: Element) => Item,
  signal?: AbortSignal,
): Promise<Item[]> {
  return pages(async (marker) => {
    const result = await api.iam(action, marker === undefined ? parameters : { ...parameters, Marker: marker }, signal);
    const next = text(result, "IsTruncated") === "true" ? text(result, "Marker") : undefined;
    return { items: members(result, list).map(item), next };
  });
}

function user(member: Element): User {
  return {
    name: text(member, "UserName") ?? "",
    arn: text(member, "Arn") ?? "",
    created: text(member, "CreateDate") ?? "",
  };
}

/** A document of IAM: percent-encoded JSON; as people read it. */
export function document(encoded: string | undefined): string {
  let json = encoded ?? "";
  try {
    json = decodeURIComponent(json);
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    // It is shown as it is.
    return json;
  }
}

export const listUsers = (api: Api, signal?: AbortSignal) => all(api, "ListUsers", {}, "Users", user, signal);

export const listRoles = (api: Api, signal?: AbortSignal) =>
  all(
    api,
    "ListRoles",
    {},
    "Roles",
    (member): Role => ({
      name: text(member, "RoleName") ?? "",
      arn: text(member, "Arn") ?? "",
      created: text(member, "CreateDate") ?? "",
      trust: document(text(member, "AssumeRolePolicyDocument")),
      description: text(member, "Description"),
    }),
    signal,
  );

export const listPolicies = (api: Api, signal?: AbortSignal) =>
  all(
    api,
    "ListPolicies",
    { Scope: "All" },
    "Policies",
    (member): Policy => ({
      name: text(member, "PolicyName") ?? "",
      arn: text(member, "Arn") ?? "",
      attachments: Number(text(member, "AttachmentCount") ?? 0),
      updated: text(member, "UpdateDate") ?? "",
      version: text(member, "DefaultVersionId") ?? "",
      description: text(member, "Description"),
    }),
    signal,
  );

export const listAttached = (api: Api, kind: Kind, name: string, signal?: AbortSignal) =>
  all(
    api,
    `ListAttached${kind}Policies`,
    { [`${kind}Name`]: name },
    "AttachedPolicies",
    (member): AttachedPolicy => ({ name: text(member, "PolicyName") ?? "", arn: text(member, "PolicyArn") ?? "" }),
    signal,
  );

export const listInline = (api: Api, kind: Kind, name: string, signal?: AbortSignal) =>
  all(
    api,
    `List${kind}Policies`,
    { [`${kind}Name`]: name },
    "PolicyNames",
    (member) => member.textContent ?? "",
    signal,
  );

export const listGroups = (api: Api, name: string, signal?: AbortSignal) =>
  all(api, "ListGroupsForUser", { UserName: name }, "Groups", (member) => text(member, "GroupName") ?? "", signal);

export const listKeys = (api: Api, name: string, signal?: AbortSignal) =>
  all(
    api,
    "ListAccessKeys",
    { UserName: name },
    "AccessKeyMetadata",
    (member): AccessKey => ({
      id: text(member, "AccessKeyId") ?? "",
      status: text(member, "Status") === "Active" ? "Active" : "Inactive",
      created: text(member, "CreateDate") ?? "",
    }),
    signal,
  );

/** The document of an inline policy. */
export async function inlineDocument(api: Api, kind: Kind, name: string, policy: string): Promise<string> {
  const result = await api.iam(`Get${kind}Policy`, { [`${kind}Name`]: name, PolicyName: policy });
  return document(text(result, "PolicyDocument"));
}

/** The document of a managed policy, in its default version. */
export async function managedDocument(api: Api, arn: string): Promise<string> {
  const found = await api.iam("GetPolicy", { PolicyArn: arn });
  const [policy] = [...found.children];
  const version = policy && text(policy, "DefaultVersionId");
  const result = await api.iam("GetPolicyVersion", { PolicyArn: arn, VersionId: version ?? "v1" });
  const [shown] = [...result.children];
  return document(shown && text(shown, "Document"));
}

/** Makes an access key; its secret is told this once. */
export async function createKey(api: Api, name: string): Promise<{ id: string; secret: string }> {
  const result = await api.iam("CreateAccessKey", { UserName: name });
  const [key] = [...result.children];
  return { id: (key && text(key, "AccessKeyId")) ?? "", secret: (key && text(key, "SecretAccessKey")) ?? "" };
}

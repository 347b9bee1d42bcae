// A project as others write it down: a command of the AWS CLI, a resource of Terraform.

import { type Draft, isDraft, MEMBERS, tidy, type Value } from "./draft";

/** A text as POSIX shells have it. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function ordered(draft: Draft): Draft {
  const tidied = tidy(draft);
  if (!isDraft(tidied)) return {};
  return Object.fromEntries(MEMBERS.filter((name) => tidied[name] !== undefined).map((name) => [name, tidied[name]]));
}

export function json(draft: Draft): string {
  return JSON.stringify(ordered(draft), null, 2);
}

export function awsCli(draft: Draft, endpoint: string, command: "create-project" | "update-project"): string {
  return `aws codebuild ${command} --endpoint-url ${shellQuoted(endpoint)} --cli-input-json ${shellQuoted(json(draft))}`;
}

/** Members whose names in Terraform are not CodeBuild's in other letters. */
const RENAMED: Record<string, string> = {
  timeoutInMinutes: "build_timeout",
  queuedTimeoutInMinutes: "queued_timeout",
  secondarySourceVersions: "secondary_source_version",
  environmentVariables: "environment_variable",
  cloudWatchLogs: "cloudwatch_logs",
  vCpu: "vcpu",
};

/** Members that the resource has no argument for. */
const UNKNOWN = new Set(["batchReportMode", "fleetsAllowed", "hostKernel"]);

function snake(name: string): string {
  return RENAMED[name] ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function escaped(text: string): string {
  return text.replace(/[$%](?=\{)/g, "$&$&");
}

function quoted(text: string): string {
  // JSON's escapes are HCL's, but for the two that HCL has not.
  return escaped(JSON.stringify(text).replaceAll("\\b", "\\u0008").replaceAll("\\f", "\\u000c"));
}

function literal(value: Value): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "string") return String(value);
  const lines = value.split("\n");
  // A text that ends with its last line's end, and that has nothing a heredoc cannot have.
  if (lines.length < 2 || lines.at(-1) !== "" || /\r|^\s*EOT\s*$/m.test(value)) return quoted(value);
  return `<<EOT\n${escaped(value)}EOT`;
}

function block(draft: Draft, indent: string): string {
  let settings = "";
  let blocks = "";
  for (const [member, value] of Object.entries(draft)) {
    if (value === undefined || UNKNOWN.has(member)) continue;
    const name = snake(member);
    const items = Array.isArray(value) && value.some(isDraft) ? value : [value];
    for (const item of items) {
      if (isDraft(item)) blocks += `\n${indent}${name} {\n${block(item, `${indent}  `)}${indent}}\n`;
      else settings += `${indent}${name} = ${literal(item)}\n`;
    }
  }
  return settings + blocks;
}

/** Who sees the builds of a project that is there: other operations set it, and a member of Terraform's resource. */
export interface Visible {
  projectVisibility?: string;
  resourceAccessRole?: string;
}

/** A resource `aws_codebuild_project` of Terraform's AWS provider. */
export function terraform(draft: Draft, visible: Visible = {}): string {
  const { tags, ...rest } = ordered(draft);
  const { projectVisibility, resourceAccessRole } = visible;
  let body = block(rest, "  ");
  if (projectVisibility === "PUBLIC_READ") {
    body = `${block({ projectVisibility, resourceAccessRole }, "  ")}${body}`;
  }
  if (Array.isArray(tags)) {
    const pairs = tags
      .filter(isDraft)
      .map(({ key, value }) => `    ${quoted(`${key}`)} = ${quoted(`${value ?? ""}`)}\n`);
    body += `\n  tags = {\n${pairs.join("")}  }\n`;
  }
  // A name of Terraform's begins with a letter or "_".
  const name = `${rest.name ?? "project"}`.replace(/[^A-Za-z0-9_-]/g, "_").replace(/^(?=[0-9-])/, "_");
  return `resource "aws_codebuild_project" ${quoted(name)} {\n${body}}\n`;
}

// Every member of a project as a field of the form, and what may stand in it. The rules are those of CodeBuild's service
// model; what needs more than the field itself is said by the service, which has the last word.

import {
  ArtifactNamespace,
  ArtifactPackaging,
  ArtifactsType,
  BatchReportModeType,
  BucketOwnerAccess,
  CacheMode,
  CacheType,
  ComputeType,
  EnvironmentType,
  EnvironmentVariableType,
  HostKernel,
  ImagePullCredentialsType,
  LogsConfigStatusType,
  MachineType,
  SourceAuthType,
  SourceType,
} from "@aws-sdk/client-codebuild";
import { TEXT } from "../text";
import { type Draft, get, isDraft, text, type Value } from "./draft";

export interface Field {
  /** Where it is in the draft, or in the item of a list: `source.location`. */
  path: string;
  kind: "text" | "number" | "toggle" | "select" | "choices" | "lines" | "list" | "buildspec";
  label: string;
  hint?: string;
  required?: boolean;
  options?: readonly string[];
  min?: number;
  max?: number;
  /** A whole text that may stand there, and what to say of another. */
  pattern?: readonly [RegExp, string];
  /** Whether it has a meaning beside the others. */
  shown?: (draft: Draft) => boolean;
  /** Of a list: its items' fields, what a new item has, how many there may be, whether an item is a row. */
  fields?: Field[];
  fresh?: Draft;
  most?: number;
  isFlat?: boolean;
}

export interface Section {
  title: string;
  fields: Field[];
}

export interface Step {
  title: string;
  sections: Section[];
}

const L = TEXT.form.labels;
const H = TEXT.form.hints;
const values = (all: Record<string, string>) => Object.values(all);
const one =
  (path: string, ...some: string[]) =>
  (draft: Draft) =>
    some.includes(text(draft, path));

const ARN = [/^arn:[\w-]+:[\w-]+:.+$/, TEXT.form.wrong.arn] as const;
const IDENTIFIER = [/^[A-Za-z_]\w*$/, TEXT.form.wrong.identifier] as const;

function source(at: string): Field[] {
  const type = `${at}type`;
  const isGit = (draft: Draft) => !one(type, "NO_SOURCE", "CODEPIPELINE", "S3", "")(draft);
  const hasStatus = (draft: Draft) => isGit(draft) && !one(type, "CODECOMMIT")(draft);
  return [
    { path: type, kind: "select", label: L.sourceType, options: values(SourceType), required: true },
    {
      path: `${at}location`,
      kind: "text",
      label: L.location,
      hint: H.sourceLocation,
      required: true,
      shown: (draft) => !one(type, "NO_SOURCE", "CODEPIPELINE", "")(draft),
    },
    { path: `${at}gitCloneDepth`, kind: "number", label: L.depth, hint: H.depth, min: 0, shown: isGit },
    { path: `${at}gitSubmodulesConfig.fetchSubmodules`, kind: "toggle", label: L.submodules, shown: isGit },
    { path: `${at}insecureSsl`, kind: "toggle", label: L.insecureSsl, shown: hasStatus },
    { path: `${at}reportBuildStatus`, kind: "toggle", label: L.reportStatus, shown: hasStatus },
    {
      path: `${at}buildStatusConfig.context`,
      kind: "text",
      label: L.statusContext,
      shown: (draft) => hasStatus(draft) && get(draft, `${at}reportBuildStatus`) === true,
    },
    {
      path: `${at}buildStatusConfig.targetUrl`,
      kind: "text",
      label: L.statusUrl,
      shown: (draft) => hasStatus(draft) && get(draft, `${at}reportBuildStatus`) === true,
    },
    {
      path: `${at}auth.type`,
      kind: "select",
      label: L.auth,
      hint: H.auth,
      options: values(SourceAuthType),
      shown: hasStatus,
    },
    {
      path: `${at}auth.resource`,
      kind: "text",
      label: L.authResource,
      pattern: ARN,
      shown: (draft) => hasStatus(draft) && text(draft, `${at}auth.type`) !== "",
    },
  ];
}

function artifacts(at: string): Field[] {
  const isS3 = one(`${at}type`, "S3");
  return [
    { path: `${at}type`, kind: "select", label: L.artifactsType, options: values(ArtifactsType), required: true },
    { path: `${at}location`, kind: "text", label: L.bucket, required: true, shown: isS3 },
    { path: `${at}path`, kind: "text", label: L.path, hint: H.path, shown: isS3 },
    {
      path: `${at}namespaceType`,
      kind: "select",
      label: L.namespace,
      hint: H.namespace,
      options: values(ArtifactNamespace),
      shown: isS3,
    },
    { path: `${at}name`, kind: "text", label: L.artifactName, hint: H.artifactName, shown: isS3 },
    { path: `${at}packaging`, kind: "select", label: L.packaging, options: values(ArtifactPackaging), shown: isS3 },
    {
      path: `${at}overrideArtifactName`,
      kind: "toggle",
      label: L.overrideName,
      hint: H.overrideName,
      shown: isS3,
    },
    { path: `${at}encryptionDisabled`, kind: "toggle", label: L.unencrypted, shown: isS3 },
    {
      path: `${at}bucketOwnerAccess`,
      kind: "select",
      label: L.ownerAccess,
      options: values(BucketOwnerAccess),
      shown: isS3,
    },
  ];
}

const project: Section = {
  title: TEXT.form.sections.project,
  fields: [
    {
      path: "name",
      kind: "text",
      label: TEXT.project.name,
      hint: H.name,
      required: true,
      pattern: [/^[A-Za-z0-9][\w-]{1,149}$/, TEXT.form.wrong.name],
    },
    { path: "description", kind: "text", label: L.description, max: 255 },
    { path: "serviceRole", kind: "text", label: L.role, hint: H.role, required: true, pattern: ARN },
    { path: "badgeEnabled", kind: "toggle", label: L.badge, hint: H.badge },
    {
      path: "tags",
      kind: "list",
      label: L.tags,
      most: 50,
      isFlat: true,
      fresh: { key: "", value: "" },
      fields: [
        {
          path: "key",
          kind: "text",
          label: L.key,
          required: true,
          max: 127,
          pattern: [/^[\p{L}\p{Z}\p{N}_.:/=@+-]*$/u, TEXT.form.wrong.tag],
        },
        {
          path: "value",
          kind: "text",
          label: L.value,
          max: 255,
          pattern: [/^[\p{L}\p{Z}\p{N}_.:/=@+-]*$/u, TEXT.form.wrong.tag],
        },
      ],
    },
  ],
};

const limits: Section = {
  title: TEXT.form.sections.limits,
  fields: [
    { path: "timeoutInMinutes", kind: "number", label: L.timeout, hint: H.timeout, min: 5, max: 2160 },
    { path: "queuedTimeoutInMinutes", kind: "number", label: L.queuedTimeout, hint: H.queuedTimeout, min: 5, max: 480 },
    { path: "concurrentBuildLimit", kind: "number", label: L.concurrent, hint: H.unlimited, min: 1 },
    { path: "autoRetryLimit", kind: "number", label: L.autoRetry, hint: H.autoRetry, min: 0 },
  ],
};

const hasFleet = (draft: Draft) => text(draft, "environment.fleet.fleetArn") !== "";

const environment: Section = {
  title: TEXT.form.sections.environment,
  fields: [
    { path: "environment.type", kind: "select", label: L.type, options: values(EnvironmentType), required: true },
    { path: "environment.image", kind: "text", label: TEXT.environment.image, hint: H.image, required: true },
    {
      path: "environment.computeType",
      kind: "select",
      label: TEXT.environment.compute,
      options: values(ComputeType),
      required: true,
    },
    { path: "environment.privilegedMode", kind: "toggle", label: L.privileged, hint: H.privileged },
    {
      path: "environment.environmentVariables",
      kind: "list",
      label: TEXT.overrides.variables,
      hint: H.variables,
      isFlat: true,
      fresh: { name: "", value: "", type: "PLAINTEXT" },
      fields: [
        { path: "name", kind: "text", label: TEXT.overrides.name, required: true },
        { path: "value", kind: "text", label: TEXT.overrides.value },
        { path: "type", kind: "select", label: TEXT.overrides.type, options: values(EnvironmentVariableType) },
      ],
    },
  ],
};

const machine: Section = {
  title: TEXT.form.sections.machine,
  fields: [
    {
      path: "environment.imagePullCredentialsType",
      kind: "select",
      label: L.pullCredentials,
      options: values(ImagePullCredentialsType),
    },
    { path: "environment.registryCredential.credential", kind: "text", label: L.registry, hint: H.registry },
    {
      path: "environment.registryCredential.credentialProvider",
      kind: "select",
      label: L.registryProvider,
      options: ["SECRETS_MANAGER"],
      required: true,
      shown: (draft) => text(draft, "environment.registryCredential.credential") !== "",
    },
    { path: "environment.certificate", kind: "text", label: L.certificate, hint: H.certificate },
    { path: "environment.hostKernel", kind: "select", label: L.kernel, options: values(HostKernel) },
    { path: "environment.fleet.fleetArn", kind: "text", label: L.fleet, pattern: ARN },
    {
      path: "environment.computeConfiguration.vCpu",
      kind: "number",
      label: L.cpus,
      min: 1,
      shown: one("environment.computeType", "ATTRIBUTE_BASED_COMPUTE"),
    },
    {
      path: "environment.computeConfiguration.memory",
      kind: "number",
      label: L.memory,
      min: 1,
      shown: one("environment.computeType", "ATTRIBUTE_BASED_COMPUTE"),
    },
    {
      path: "environment.computeConfiguration.disk",
      kind: "number",
      label: L.disk,
      min: 1,
      shown: one("environment.computeType", "ATTRIBUTE_BASED_COMPUTE"),
    },
    {
      path: "environment.computeConfiguration.machineType",
      kind: "select",
      label: L.machine,
      options: values(MachineType),
      shown: one("environment.computeType", "ATTRIBUTE_BASED_COMPUTE"),
    },
    {
      path: "environment.computeConfiguration.instanceType",
      kind: "text",
      label: L.instance,
      shown: (draft) => hasFleet(draft) && one("environment.computeType", "CUSTOM_INSTANCE_TYPE")(draft),
    },
    {
      path: "environment.dockerServer.computeType",
      kind: "select",
      label: L.dockerServer,
      options: values(ComputeType),
    },
    {
      path: "environment.dockerServer.securityGroupIds",
      kind: "lines",
      label: L.dockerGroups,
      most: 5,
      shown: (draft) => text(draft, "environment.dockerServer.computeType") !== "",
    },
    { path: "vpcConfig.vpcId", kind: "text", label: L.vpc },
    { path: "vpcConfig.subnets", kind: "lines", label: L.subnets, hint: H.lines, most: 16 },
    { path: "vpcConfig.securityGroupIds", kind: "lines", label: L.groups, hint: H.lines, most: 5 },
    {
      path: "fileSystemLocations",
      kind: "list",
      label: L.fileSystems,
      fresh: { type: "EFS" },
      fields: [
        { path: "identifier", kind: "text", label: L.identifier, required: true, pattern: IDENTIFIER },
        { path: "location", kind: "text", label: L.location, required: true },
        { path: "mountPoint", kind: "text", label: L.mountPoint, required: true },
        { path: "mountOptions", kind: "text", label: L.mountOptions },
      ],
    },
  ],
};

/** The steps of the wizard, without the last, which shows what comes of it. */
export const STEPS: Step[] = [
  { title: TEXT.form.steps.project, sections: [project, limits] },
  {
    title: TEXT.form.steps.source,
    sections: [
      {
        title: TEXT.form.sections.source,
        fields: [
          ...source("source."),
          {
            path: "sourceVersion",
            kind: "text",
            label: TEXT.overrides.version,
            hint: H.version,
            shown: (draft) => !one("source.type", "NO_SOURCE", "CODEPIPELINE", "")(draft),
          },
        ],
      },
      {
        title: TEXT.form.sections.secondarySources,
        fields: [
          {
            path: "secondarySources",
            kind: "list",
            label: L.secondarySources,
            most: 12,
            fresh: { type: "S3", sourceIdentifier: "" },
            fields: [
              { path: "sourceIdentifier", kind: "text", label: L.identifier, required: true, pattern: IDENTIFIER },
              ...source(""),
            ],
          },
          {
            path: "secondarySourceVersions",
            kind: "list",
            label: L.secondaryVersions,
            most: 12,
            isFlat: true,
            fresh: { sourceIdentifier: "", sourceVersion: "" },
            fields: [
              { path: "sourceIdentifier", kind: "text", label: L.identifier, required: true, pattern: IDENTIFIER },
              { path: "sourceVersion", kind: "text", label: TEXT.overrides.version, required: true },
            ],
          },
        ],
      },
    ],
  },
  { title: TEXT.form.steps.environment, sections: [environment, machine] },
  {
    title: TEXT.form.steps.buildspec,
    sections: [
      {
        title: TEXT.form.sections.buildspec,
        fields: [{ path: "source.buildspec", kind: "buildspec", label: TEXT.project.buildspec, hint: H.buildspec }],
      },
    ],
  },
  {
    title: TEXT.form.steps.artifacts,
    sections: [
      { title: TEXT.form.sections.artifacts, fields: artifacts("artifacts.") },
      {
        title: TEXT.form.sections.secondaryArtifacts,
        fields: [
          {
            path: "secondaryArtifacts",
            kind: "list",
            label: L.secondaryArtifacts,
            most: 12,
            fresh: { type: "S3", artifactIdentifier: "" },
            fields: [
              { path: "artifactIdentifier", kind: "text", label: L.identifier, required: true, pattern: IDENTIFIER },
              ...artifacts(""),
            ],
          },
          { path: "encryptionKey", kind: "text", label: TEXT.environment.key, hint: H.key },
        ],
      },
      {
        title: TEXT.form.sections.cache,
        fields: [
          { path: "cache.type", kind: "select", label: L.cacheType, options: values(CacheType) },
          { path: "cache.location", kind: "text", label: L.bucket, required: true, shown: one("cache.type", "S3") },
          { path: "cache.cacheNamespace", kind: "text", label: L.cacheNamespace, shown: one("cache.type", "S3") },
          {
            path: "cache.modes",
            kind: "choices",
            label: L.cacheModes,
            options: values(CacheMode),
            required: true,
            shown: one("cache.type", "LOCAL"),
          },
        ],
      },
    ],
  },
  {
    title: TEXT.form.steps.logs,
    sections: [
      {
        title: TEXT.form.sections.logs,
        fields: [
          {
            path: "logsConfig.cloudWatchLogs.status",
            kind: "select",
            label: L.cloudWatchLogs,
            options: values(LogsConfigStatusType),
          },
          {
            path: "logsConfig.cloudWatchLogs.groupName",
            kind: "text",
            label: L.group,
            shown: one("logsConfig.cloudWatchLogs.status", "ENABLED"),
          },
          {
            path: "logsConfig.cloudWatchLogs.streamName",
            kind: "text",
            label: L.stream,
            shown: one("logsConfig.cloudWatchLogs.status", "ENABLED"),
          },
          { path: "logsConfig.s3Logs.status", kind: "select", label: L.s3Logs, options: values(LogsConfigStatusType) },
          {
            path: "logsConfig.s3Logs.location",
            kind: "text",
            label: L.bucket,
            required: true,
            shown: one("logsConfig.s3Logs.status", "ENABLED"),
          },
          {
            path: "logsConfig.s3Logs.encryptionDisabled",
            kind: "toggle",
            label: L.unencrypted,
            shown: one("logsConfig.s3Logs.status", "ENABLED"),
          },
          {
            path: "logsConfig.s3Logs.bucketOwnerAccess",
            kind: "select",
            label: L.ownerAccess,
            options: values(BucketOwnerAccess),
            shown: one("logsConfig.s3Logs.status", "ENABLED"),
          },
        ],
      },
      {
        title: TEXT.form.sections.batch,
        fields: [
          { path: "buildBatchConfig.serviceRole", kind: "text", label: L.batchRole, pattern: ARN },
          { path: "buildBatchConfig.combineArtifacts", kind: "toggle", label: L.combine },
          { path: "buildBatchConfig.timeoutInMins", kind: "number", label: L.batchTimeout, min: 5, max: 2160 },
          {
            path: "buildBatchConfig.batchReportMode",
            kind: "select",
            label: L.batchReport,
            options: values(BatchReportModeType),
          },
          { path: "buildBatchConfig.restrictions.maximumBuildsAllowed", kind: "number", label: L.batchMost, min: 1 },
          {
            path: "buildBatchConfig.restrictions.computeTypesAllowed",
            kind: "choices",
            label: L.batchCompute,
            options: values(ComputeType),
          },
          {
            path: "buildBatchConfig.restrictions.fleetsAllowed",
            kind: "lines",
            label: L.batchFleets,
            hint: H.lines,
          },
        ],
      },
    ],
  },
];

export function isShown(field: Field, draft: Draft): boolean {
  return field.shown?.(draft) ?? true;
}

/** What is wrong with a value. */
export function wrong(field: Field, value: Value | undefined): string | undefined {
  const wrongs = TEXT.form.wrong;
  if (value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) {
    return field.required ? wrongs.required : undefined;
  }
  if (field.kind === "number") {
    const { min, max } = field;
    if (typeof value !== "number" || !Number.isSafeInteger(value)) return wrongs.number;
    if (min !== undefined && value < min) return max === undefined ? wrongs.least(min) : wrongs.between(min, max);
    if (max !== undefined && value > max) return min === undefined ? wrongs.most(max) : wrongs.between(min, max);
    return undefined;
  }
  if (Array.isArray(value)) {
    return field.most !== undefined && value.length > field.most ? wrongs.items(field.most) : undefined;
  }
  if (typeof value !== "string") return undefined;
  if (field.max !== undefined && value.length > field.max) return wrongs.longer(field.max);
  return field.pattern && !field.pattern[0].test(value) ? field.pattern[1] : undefined;
}

/** How many fields of these have something wrong, those of lists' items with them. */
export function wrongs(fields: readonly Field[], draft: Draft): number {
  let sum = 0;
  for (const field of fields) {
    if (!isShown(field, draft)) continue;
    const value = get(draft, field.path);
    if (wrong(field, value) !== undefined) sum++;
    if (field.kind !== "list" || !Array.isArray(value)) continue;
    for (const item of value) if (isDraft(item)) sum += wrongs(field.fields ?? [], item);
  }
  return sum;
}

/** The draft without what has no meaning beside the rest: the bucket of artifacts that are none. */
export function meant(draft: Draft, drop: (draft: Draft, path: string) => Draft): Draft {
  let kept = draft;
  for (const { sections } of STEPS) {
    for (const { fields } of sections) {
      for (const field of fields) if (!isShown(field, kept)) kept = drop(kept, field.path);
    }
  }
  return kept;
}

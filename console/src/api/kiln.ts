// Shapes of the Kiln API (docs/kiln-api.md). Times are seconds since the epoch.

export interface QueuePlace {
  position: number;
  memoryBytes: number;
  reason: string;
}

export interface PhaseDetail {
  phaseType?: string;
  phaseStatus?: string;
  startTime?: number;
  endTime?: number;
  durationInMilliseconds?: number;
  context?: { statusCode?: string; message?: string };
}

export interface CommandDetail {
  number: number;
  phaseType?: string;
  finally: boolean;
  attempt: number;
  text: string;
  buildspecLine?: number;
  startTime?: number;
  durationInMilliseconds?: number;
  cpuMilliseconds?: number;
  memoryPeakBytes?: number;
  readBytes?: number;
  writtenBytes?: number;
  exitCode?: number;
  signal?: string;
  memoryLimitReached: boolean;
  firstLine?: number;
  lastLine?: number;
}

export interface ResourceSample {
  time: number;
  cpuMilliseconds: number;
  memoryBytes: number;
  memoryPeakBytes: number;
  processes: number;
  readBytes: number;
  writtenBytes: number;
}

export interface ArtifactDetail {
  artifactIdentifier?: string;
  location?: string;
  packaging?: string;
  files: number;
  bytes: number;
  sha256?: string;
}

export interface ReportDetail {
  name: string;
  format: string;
  kind: string;
  status: string;
  files: number;
  tests?: { total: number; statusCounts?: Record<string, number> };
  lines?: { covered: number; missed: number };
}

export interface BuildDetail {
  id: string;
  arn: string;
  projectName: string;
  buildStatus?: string;
  currentPhase?: string;
  queue?: QueuePlace;
  phases: PhaseDetail[];
  commands: CommandDetail[];
  totalCommands: number;
  resources?: { cpuMilliseconds: number; memoryPeakBytes: number; readBytes: number; writtenBytes: number };
  samples: ResourceSample[];
  artifacts: ArtifactDetail[];
  reports: ReportDetail[];
  notices: string[];
  totalLines: number;
  keptFileSystem: boolean;
}

export interface LogLine {
  number: number;
  time: number;
  byte: number;
  text: string;
}

export interface LogPage {
  lines: LogLine[];
  nextLine: number;
  complete: boolean;
}

export interface Found {
  matches: (LogLine & { ranges: { start: number; end: number }[] })[];
  nextLine: number;
  complete: boolean;
}

export interface Counted {
  matchedLines: number;
  totalLines: number;
  nextLine: number;
  complete: boolean;
}

export interface LintRemark {
  severity: "ERROR" | "WARNING" | "HINT";
  code: string;
  message: string;
  line: number;
  column: number;
  endLine?: number;
  endColumn?: number;
  hint?: string;
}

export interface Linted {
  valid: boolean;
  remarks: LintRemark[];
}

export interface RunningBuild {
  id: string;
  projectName: string;
  computeType: string;
  memoryBytes: number;
  startTime: number;
}

export interface QueuedBuild {
  id: string;
  projectName: string;
  computeType: string;
  submittedTime: number;
  queue: QueuePlace;
}

export interface Queue {
  capacity: {
    maxBuilds: number;
    runningBuilds: number;
    queuedBuilds: number;
    memoryBytes: number;
    reservedMemoryBytes: number;
  };
  running: RunningBuild[];
  queued: QueuedBuild[];
}

export interface Cache {
  id: string;
  namespace: string;
  projectName?: string;
  paths: string[];
  key?: string;
  created: number;
  lastUsed: number;
  entries: number;
  bytes: number;
  storedBytes: number;
}

export interface CachesDeleted {
  deleted: string[];
  notFound: string[];
  inUse: string[];
  freedBytes: number;
}

export interface AuditEvent {
  sequence: number;
  eventTime: string;
  eventSource: string;
  eventName: string;
  userIdentity?: { type: string; arn?: string; userName?: string; accessKeyId?: string };
  sourceIPAddress?: string;
  requestID?: string;
  readOnly?: boolean;
  resources?: { ARN: string }[];
  errorCode?: string;
  errorMessage?: string;
}

export interface AuditPage {
  events: AuditEvent[];
  nextToken?: string;
}

export interface Verified {
  records: number;
  first: number;
  last: number;
  end: string;
  problem?: { sequence: number; file?: string; what: string };
}

export interface Explained {
  decision: "allowed" | "explicitDeny" | "implicitDeny";
  message?: string;
  resource: string;
  statements: {
    policyType: string;
    policy?: string;
    statement: string;
    effect: "Allow" | "Deny";
    applies: boolean;
    whyNot?: string;
  }[];
}

export interface PublicBuild {
  uuid: string;
  buildNumber?: number;
  buildStatus?: string;
  currentPhase?: string;
  startTime: number;
  endTime?: number;
  sourceVersion?: string;
  resolvedSourceVersion?: string;
}

export interface PublicBuilds {
  projectName: string;
  builds: PublicBuild[];
  nextToken?: string;
}

export interface PublicBuildDetail extends PublicBuild {
  projectName: string;
  sourceType?: string;
  sourceLocation?: string;
  computeType?: string;
  phases: PhaseDetail[];
  variables: { name: string; type?: string }[];
  logIsPublic: boolean;
  totalLines: number;
  commands: CommandDetail[];
  artifacts: {
    artifactIdentifier?: string;
    fileName: string;
    files: number;
    bytes: number;
    isPublic: boolean;
  }[];
}

export interface WebhookDelivery {
  id: string;
  deliveryId: string;
  projectName: string;
  provider: string;
  event: string;
  receivedTime: number;
  status: string;
  message: string;
  buildIds: string[];
  redeliveryOf?: string;
  payloadBytes: number;
}

export interface WebhookDeliveries {
  deliveries: WebhookDelivery[];
  nextToken?: string;
}

export interface WebhookDeliveryDetail {
  delivery: WebhookDelivery;
  decisions: {
    event?: string;
    trigger?: string;
    commit?: string;
    status: string;
    message: string;
    groups: {
      matched: boolean;
      filters: {
        type: string;
        pattern: string;
        excludeMatchedPattern: boolean;
        matched?: boolean;
        value?: string;
        reason: string;
      }[];
    }[];
    buildId?: string;
    supersededBuildIds?: string[];
  }[];
  payload?: string;
}

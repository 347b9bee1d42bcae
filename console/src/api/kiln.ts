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

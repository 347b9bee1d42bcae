import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";

const TYPES: Record<string, StatusIndicatorProps.Type> = {
  SUCCEEDED: "success",
  FAILED: "error",
  FAULT: "error",
  CLIENT_ERROR: "error",
  TIMED_OUT: "error",
  STOPPED: "stopped",
  IN_PROGRESS: "in-progress",
  QUEUED: "pending",
};

/** `TIMED_OUT` as `Timed out`. */
export function words(name: string): string {
  const text = name.replaceAll("_", " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function Status({ status }: { status?: string }) {
  if (!status) return <StatusIndicator type="pending">–</StatusIndicator>;
  return <StatusIndicator type={TYPES[status] ?? "info"}>{words(status)}</StatusIndicator>;
}

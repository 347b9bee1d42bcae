import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Popover from "@cloudscape-design/components/popover";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import type { CallError } from "../api/client";
import { TEXT } from "../text";

/** What went wrong, in the place of what would be there. */
export function Problem({ error }: { error: CallError }) {
  if (error.isUnsupported) {
    return (
      <Alert type="info" header={TEXT.unsupported}>
        {TEXT.unsupportedMore}
      </Alert>
    );
  }
  return (
    <Alert type={error.isDenied ? "warning" : "error"} header={error.isDenied ? TEXT.denied : TEXT.error}>
      {error.isDenied && <Box>{TEXT.deniedMore}</Box>}
      <Box>{error.message}</Box>
    </Alert>
  );
}

/** The same where there is little room. */
export function Denied({ error }: { error: CallError }) {
  return (
    <Popover content={error.message} triggerType="text" size="medium" position="top" dismissAriaLabel={TEXT.close}>
      <StatusIndicator type={error.isDenied ? "stopped" : "error"}>
        {error.isDenied ? TEXT.denied : TEXT.error}
      </StatusIndicator>
    </Popover>
  );
}

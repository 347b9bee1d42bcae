import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type ReactNode, useState } from "react";
import { callError } from "../api/client";
import { TEXT } from "../text";

export interface AskProps {
  header: string;
  /** What the button says that does it. */
  action: string;
  /** Does it. What it throws is shown here. */
  work: () => Promise<unknown>;
  /** After it was done. */
  onDone: () => void;
  onDismiss: () => void;
  /** Why it cannot be done yet. */
  isIncomplete?: boolean;
  size?: "medium" | "large";
  children: ReactNode;
}

/** Asks for what is needed, or once more, and does something. */
export function Ask({ header, action, work, onDone, onDismiss, isIncomplete, size, children }: AskProps) {
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      onDone();
    } catch (thrown) {
      setError(callError(thrown)?.message);
      setBusy(false);
    }
  };
  return (
    <Modal
      visible
      header={header}
      size={size}
      closeAriaLabel={TEXT.close}
      onDismiss={onDismiss}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onDismiss}>
              {TEXT.cancel}
            </Button>
            <Button variant="primary" loading={isBusy} disabled={isIncomplete} onClick={() => void go()}>
              {action}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        {error !== undefined && <Alert type="error">{error}</Alert>}
        {children}
      </SpaceBetween>
    </Modal>
  );
}

import { DeleteProjectCommand } from "@aws-sdk/client-codebuild";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { callError } from "../api/client";
import { useSigned } from "../hooks";
import { navigate, paths } from "../router";
import { TEXT } from "../text";

/** Asks once more, and deletes a project. */
export function DeleteProject({ name, onDismiss }: { name: string; onDismiss: () => void }) {
  const { api } = useSigned();
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const remove = async () => {
    setBusy(true);
    try {
      await api.codebuild.send(new DeleteProjectCommand({ name }));
      navigate(paths.projects);
    } catch (thrown) {
      setError(callError(thrown)?.message);
      setBusy(false);
    }
  };
  return (
    <Modal
      visible
      header={TEXT.form.deleteTitle(name)}
      closeAriaLabel={TEXT.close}
      onDismiss={onDismiss}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onDismiss}>
              {TEXT.cancel}
            </Button>
            <Button variant="primary" loading={isBusy} onClick={() => void remove()}>
              {TEXT.form.delete}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        {error !== undefined && <Alert type="error">{error}</Alert>}
        <Box>{TEXT.form.deleteText}</Box>
      </SpaceBetween>
    </Modal>
  );
}

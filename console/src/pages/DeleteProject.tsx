import { DeleteProjectCommand } from "@aws-sdk/client-codebuild";
import Box from "@cloudscape-design/components/box";
import { useSigned } from "../hooks";
import { Ask } from "../parts/Ask";
import { navigate, paths } from "../router";
import { TEXT } from "../text";

/** Asks once more, and deletes a project. */
export function DeleteProject({ name, onDismiss }: { name: string; onDismiss: () => void }) {
  const { api } = useSigned();
  return (
    <Ask
      header={TEXT.form.deleteTitle(name)}
      action={TEXT.form.delete}
      work={() => api.codebuild.send(new DeleteProjectCommand({ name }))}
      onDone={() => navigate(paths.projects)}
      onDismiss={onDismiss}
    >
      <Box>{TEXT.form.deleteText}</Box>
    </Ask>
  );
}

import { type Project, UpdateProjectVisibilityCommand } from "@aws-sdk/client-codebuild";
import Box from "@cloudscape-design/components/box";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Toggle from "@cloudscape-design/components/toggle";
import { useState } from "react";
import { useSigned } from "../hooks";
import { Ask } from "../parts/Ask";
import { Code } from "../parts/Code";
import { paths } from "../router";
import { TEXT } from "../text";

export interface VisibilityProps {
  project: Project;
  onDone: () => void;
  onDismiss: () => void;
}

/** Whether anybody may see a project's builds, and as which role. */
export function Visibility({ project, onDone, onDismiss }: VisibilityProps) {
  const { api } = useSigned();
  const [isPublic, setPublic] = useState(project.projectVisibility === "PUBLIC_READ");
  const [role, setRole] = useState(project.resourceAccessRole ?? "");
  const alias = project.projectVisibility === "PUBLIC_READ" ? project.publicProjectAlias : undefined;
  return (
    <Ask
      size="large"
      header={TEXT.visibility.title}
      action={TEXT.visibility.save}
      work={() =>
        api.codebuild.send(
          new UpdateProjectVisibilityCommand({
            projectArn: project.arn,
            projectVisibility: isPublic ? "PUBLIC_READ" : "PRIVATE",
            resourceAccessRole: role.trim(),
          }),
        )
      }
      onDone={onDone}
      onDismiss={onDismiss}
    >
      <Box>{TEXT.visibility.lead}</Box>
      <Toggle checked={isPublic} onChange={({ detail }) => setPublic(detail.checked)}>
        {TEXT.visibility.public}
      </Toggle>
      <FormField label={TEXT.visibility.role} description={TEXT.visibility.roleHint} stretch>
        <Input
          value={role}
          placeholder="arn:aws:iam::000000000000:role/public-builds"
          spellcheck={false}
          onChange={({ detail }) => setRole(detail.value)}
        />
      </FormField>
      {alias !== undefined && (
        <div>
          <Box variant="awsui-key-label">{TEXT.visibility.address}</Box>
          <Code name={TEXT.visibility.copyAddress} text={location.origin + paths.public(alias)} />
        </div>
      )}
    </Ask>
  );
}

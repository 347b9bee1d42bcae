import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import Textarea from "@cloudscape-design/components/textarea";
import { useState } from "react";
import { listRoles, type Role } from "../../../api/iam";
import { ago } from "../../../format";
import { useNow, useReading, useSigned } from "../../../hooks";
import { Ask } from "../../../parts/Ask";
import { byText, Listing } from "../../../parts/Listing";
import { navigate, paths } from "../../../router";
import { TEXT } from "../../../text";

/** For roles of builds, which most are. */
const TRUST = JSON.stringify(
  {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: "codebuild.amazonaws.com" }, Action: "sts:AssumeRole" }],
  },
  null,
  2,
);

export function Roles() {
  const { api } = useSigned();
  const [isCreating, setCreating] = useState(false);
  const now = useNow(true);
  const reading = useReading("roles", (signal) => listRoles(api, signal));
  return (
    <>
      <Listing<Role>
        title={TEXT.access.roles}
        reading={reading}
        idOf={({ arn }) => arn}
        textOf={({ arn, description }) => `${arn} ${description ?? ""}`}
        none={TEXT.access.noRoles}
        actions={() => (
          <Button variant="primary" onClick={() => setCreating(true)}>
            {TEXT.access.createRole}
          </Button>
        )}
        columns={[
          {
            id: "name",
            header: TEXT.name,
            isRowHeader: true,
            minWidth: 180,
            sortingComparator: byText(({ name }) => name),
            cell: ({ name, description }) => (
              <>
                <Link href={paths.access("roles", name)}>{name}</Link>
                {description && (
                  <Box variant="small" display="block">
                    {description}
                  </Box>
                )}
              </>
            ),
          },
          {
            id: "arn",
            header: TEXT.project.arn,
            minWidth: 260,
            cell: ({ arn }) => <span className="break">{arn}</span>,
          },
          {
            id: "created",
            header: TEXT.created,
            minWidth: 110,
            sortingComparator: byText(({ created }) => created),
            cell: ({ created }) => ago(new Date(created), now),
          },
        ]}
      />
      {isCreating && <CreateRole onDismiss={() => setCreating(false)} />}
    </>
  );
}

function CreateRole({ onDismiss }: { onDismiss: () => void }) {
  const { api } = useSigned();
  const [name, setName] = useState("");
  const [trust, setTrust] = useState(TRUST);
  return (
    <Ask
      size="large"
      header={TEXT.access.createRole}
      action={TEXT.access.createRole}
      isIncomplete={name.trim() === ""}
      work={() => api.iam("CreateRole", { RoleName: name.trim(), AssumeRolePolicyDocument: trust })}
      onDone={() => navigate(paths.access("roles", name.trim()))}
      onDismiss={onDismiss}
    >
      <FormField label={TEXT.name} stretch>
        <Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
      <FormField label={TEXT.access.trust} description={TEXT.access.trustHint} stretch>
        <Textarea value={trust} rows={12} spellcheck={false} onChange={({ detail }) => setTrust(detail.value)} />
      </FormField>
    </Ask>
  );
}

import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import { useState } from "react";
import { listUsers, type User } from "../../../api/iam";
import { ago } from "../../../format";
import { useNow, useReading, useSigned } from "../../../hooks";
import { Ask } from "../../../parts/Ask";
import { byText, Listing } from "../../../parts/Listing";
import { navigate, paths } from "../../../router";
import { TEXT } from "../../../text";

export function Users() {
  const { api } = useSigned();
  const [isCreating, setCreating] = useState(false);
  const now = useNow(true);
  const reading = useReading("users", (signal) => listUsers(api, signal));
  return (
    <>
      <Listing<User>
        title={TEXT.access.users}
        reading={reading}
        idOf={({ arn }) => arn}
        textOf={({ arn }) => arn}
        none={TEXT.access.noUsers}
        noneMore={TEXT.access.noUsersMore}
        actions={() => (
          <Button variant="primary" onClick={() => setCreating(true)}>
            {TEXT.access.createUser}
          </Button>
        )}
        columns={[
          {
            id: "name",
            header: TEXT.name,
            isRowHeader: true,
            minWidth: 140,
            sortingComparator: byText(({ name }) => name),
            cell: ({ name }) => <Link href={paths.access("users", name)}>{name}</Link>,
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
      {isCreating && <CreateUser onDismiss={() => setCreating(false)} />}
    </>
  );
}

function CreateUser({ onDismiss }: { onDismiss: () => void }) {
  const { api } = useSigned();
  const [name, setName] = useState("");
  return (
    <Ask
      header={TEXT.access.createUser}
      action={TEXT.access.createUser}
      isIncomplete={name.trim() === ""}
      work={() => api.iam("CreateUser", { UserName: name.trim() })}
      onDone={() => navigate(paths.access("users", name.trim()))}
      onDismiss={onDismiss}
    >
      <FormField label={TEXT.name} description={TEXT.access.userHint}>
        <Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
    </Ask>
  );
}

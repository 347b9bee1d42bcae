import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Textarea from "@cloudscape-design/components/textarea";
import { useState } from "react";
import { listPolicies, managedDocument, type Policy } from "../../../api/iam";
import { count } from "../../../format";
import { useReading, useSigned } from "../../../hooks";
import { Ask } from "../../../parts/Ask";
import { byNumber, byText, Listing } from "../../../parts/Listing";
import { TEXT } from "../../../text";
import { Document } from "./Document";

const BEGINNING = JSON.stringify(
  {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["codebuild:StartBuild", "codebuild:BatchGet*"], Resource: "*" }],
  },
  null,
  2,
);

export function Policies() {
  const { api } = useSigned();
  const [asked, setAsked] = useState<"create" | Policy[]>();
  const [shown, setShown] = useState<Policy>();
  const reading = useReading("policies", (signal) => listPolicies(api, signal));
  const done = () => {
    setAsked(undefined);
    reading.reload();
  };
  return (
    <>
      <Listing<Policy>
        title={TEXT.access.policies}
        reading={reading}
        idOf={({ arn }) => arn}
        textOf={({ arn, description }) => `${arn} ${description ?? ""}`}
        none={TEXT.access.noPolicies}
        isSelectable
        actions={(selected) => (
          <>
            <Button
              disabled={selected.length === 0 || selected.some(({ arn }) => arn.includes("::aws:"))}
              onClick={() => setAsked(selected)}
            >
              {TEXT.delete}
            </Button>
            <Button variant="primary" onClick={() => setAsked("create")}>
              {TEXT.access.createPolicy}
            </Button>
          </>
        )}
        columns={[
          {
            id: "name",
            header: TEXT.name,
            isRowHeader: true,
            minWidth: 180,
            sortingComparator: byText(({ name }) => name),
            cell: (policy) => (
              <>
                <Button variant="inline-link" onClick={() => setShown(policy)}>
                  {policy.name}
                </Button>
                {policy.description && (
                  <Box variant="small" display="block">
                    {policy.description}
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
            id: "attached",
            header: TEXT.access.attachments,
            minWidth: 110,
            sortingComparator: byNumber(({ attachments }) => attachments),
            cell: ({ attachments }) => count(attachments),
          },
        ]}
      />
      {asked === "create" && <CreatePolicy onDone={done} onDismiss={() => setAsked(undefined)} />}
      {Array.isArray(asked) && (
        <Ask
          header={TEXT.access.deletePolicies}
          action={TEXT.delete}
          work={async () => {
            for (const { arn } of asked) await api.iam("DeletePolicy", { PolicyArn: arn });
          }}
          onDone={done}
          onDismiss={() => setAsked(undefined)}
        >
          <Box>{TEXT.access.deletePoliciesText}</Box>
          <ul className="break">
            {asked.map(({ arn }) => (
              <li key={arn}>{arn}</li>
            ))}
          </ul>
        </Ask>
      )}
      {shown && (
        <Document
          title={shown.name}
          read={() => managedDocument(api, shown.arn)}
          onDismiss={() => setShown(undefined)}
        />
      )}
    </>
  );
}

function CreatePolicy({ onDone, onDismiss }: { onDone: () => void; onDismiss: () => void }) {
  const { api } = useSigned();
  const [name, setName] = useState("");
  const [document, setDocument] = useState(BEGINNING);
  return (
    <Ask
      size="large"
      header={TEXT.access.createPolicy}
      action={TEXT.access.createPolicy}
      isIncomplete={name.trim() === ""}
      work={() => api.iam("CreatePolicy", { PolicyName: name.trim(), PolicyDocument: document })}
      onDone={onDone}
      onDismiss={onDismiss}
    >
      <FormField label={TEXT.name} stretch>
        <Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
      <FormField label={TEXT.access.document} stretch>
        <Textarea value={document} rows={14} spellcheck={false} onChange={({ detail }) => setDocument(detail.value)} />
      </FormField>
    </Ask>
  );
}

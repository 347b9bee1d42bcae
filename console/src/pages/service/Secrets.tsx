import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Tabs from "@cloudscape-design/components/tabs";
import { useEffect, useState } from "react";
import type { Parameter, Secret, SecretValue } from "../../api/aws";
import { type CallError, callError, pages } from "../../api/client";
import { ago } from "../../format";
import { useNow, useReading, useSigned } from "../../hooks";
import { Code } from "../../parts/Code";
import { byNumber, byText, Listing } from "../../parts/Listing";
import { Problem } from "../../parts/Problem";
import { TEXT } from "../../text";

/** Names of secrets and parameters. A value is read when somebody asks for it, and forgotten when they close it. */
export default function Secrets() {
  const [tab, setTab] = useState("secrets");
  return (
    <Tabs
      activeTabId={tab}
      onChange={({ detail }) => setTab(detail.activeTabId)}
      i18nStrings={{ scrollLeftAriaLabel: TEXT.build.tabsLeft, scrollRightAriaLabel: TEXT.build.tabsRight }}
      tabs={[
        { id: "secrets", label: TEXT.secrets.title, content: <SecretList /> },
        { id: "parameters", label: TEXT.secrets.parameters, content: <Parameters /> },
      ]}
    />
  );
}

function SecretList() {
  const { api } = useSigned();
  const [shown, setShown] = useState<string>();
  const now = useNow(true);
  const reading = useReading("secrets", (signal) =>
    pages(async (NextToken) => {
      const input = { NextToken, MaxResults: 100 };
      const page = await api.json<{ SecretList?: Secret[]; NextToken?: string }>(
        "secretsmanager",
        "ListSecrets",
        input,
        signal,
      );
      return { items: page.SecretList, next: page.NextToken };
    }),
  );
  return (
    <>
      <Listing<Secret>
        title={TEXT.secrets.title}
        description={TEXT.secrets.lead}
        reading={reading}
        idOf={({ ARN }) => ARN}
        textOf={({ Name, Description }) => `${Name} ${Description ?? ""}`}
        none={TEXT.secrets.none}
        columns={[
          {
            id: "name",
            header: TEXT.name,
            isRowHeader: true,
            minWidth: 180,
            sortingComparator: byText(({ Name }) => Name),
            cell: ({ Name, Description }) => (
              <span className="break">
                {Name}
                {Description && (
                  <Box variant="small" display="block">
                    {Description}
                  </Box>
                )}
              </span>
            ),
          },
          {
            id: "changed",
            header: TEXT.changed,
            minWidth: 110,
            sortingComparator: byNumber(({ LastChangedDate }) => LastChangedDate),
            cell: ({ LastChangedDate }) =>
              LastChangedDate === undefined ? "–" : ago(new Date(LastChangedDate * 1000), now),
          },
          {
            id: "used",
            header: TEXT.lastUsed,
            minWidth: 110,
            sortingComparator: byNumber(({ LastAccessedDate }) => LastAccessedDate),
            // AWS tells the day alone.
            cell: ({ LastAccessedDate }) =>
              LastAccessedDate === undefined
                ? TEXT.never
                : new Date(LastAccessedDate * 1000).toISOString().slice(0, 10),
          },
          {
            id: "value",
            header: TEXT.secrets.value,
            minWidth: 150,
            cell: ({ ARN, Name, DeletedDate }) =>
              DeletedDate === undefined ? (
                <Button ariaLabel={TEXT.secrets.showOf(Name)} onClick={() => setShown(ARN)}>
                  {TEXT.secrets.show}
                </Button>
              ) : (
                <StatusIndicator type="stopped">{TEXT.secrets.deleted}</StatusIndicator>
              ),
          },
        ]}
      />
      {shown !== undefined && (
        <Value
          name={shown}
          read={async (signal) => {
            const value = await api.json<SecretValue>("secretsmanager", "GetSecretValue", { SecretId: shown }, signal);
            return value.SecretString ?? value.SecretBinary ?? "";
          }}
          onDismiss={() => setShown(undefined)}
        />
      )}
    </>
  );
}

function Parameters() {
  const { api } = useSigned();
  const [shown, setShown] = useState<string>();
  const now = useNow(true);
  const reading = useReading("parameters", (signal) =>
    pages(async (NextToken) => {
      const input = { NextToken, MaxResults: 50 };
      const page = await api.json<{ Parameters?: Parameter[]; NextToken?: string }>(
        "ssm",
        "DescribeParameters",
        input,
        signal,
      );
      return { items: page.Parameters, next: page.NextToken };
    }),
  );
  return (
    <>
      <Listing<Parameter>
        title={TEXT.secrets.parameters}
        description={TEXT.secrets.parametersLead}
        reading={reading}
        idOf={({ Name }) => Name}
        textOf={({ Name, Description }) => `${Name} ${Description ?? ""}`}
        none={TEXT.secrets.noParameters}
        columns={[
          {
            id: "name",
            header: TEXT.name,
            isRowHeader: true,
            minWidth: 180,
            sortingComparator: byText(({ Name }) => Name),
            cell: ({ Name, Description }) => (
              <span className="break">
                {Name}
                {Description && (
                  <Box variant="small" display="block">
                    {Description}
                  </Box>
                )}
              </span>
            ),
          },
          {
            id: "type",
            header: TEXT.overrides.type,
            minWidth: 120,
            sortingComparator: byText(({ Type }) => Type),
            cell: ({ Type }) => Type,
          },
          { id: "version", header: TEXT.secrets.version, minWidth: 80, cell: ({ Version }) => Version ?? "–" },
          {
            id: "changed",
            header: TEXT.changed,
            minWidth: 110,
            sortingComparator: byNumber(({ LastModifiedDate }) => LastModifiedDate),
            cell: ({ LastModifiedDate }) =>
              LastModifiedDate === undefined ? "–" : ago(new Date(LastModifiedDate * 1000), now),
          },
          {
            id: "value",
            header: TEXT.secrets.value,
            minWidth: 150,
            cell: ({ Name }) => (
              <Button ariaLabel={TEXT.secrets.showOf(Name)} onClick={() => setShown(Name)}>
                {TEXT.secrets.show}
              </Button>
            ),
          },
        ]}
      />
      {shown !== undefined && (
        <Value
          name={shown}
          read={async (signal) => {
            const input = { Name: shown, WithDecryption: true };
            const found = await api.json<{ Parameter?: { Value?: string } }>("ssm", "GetParameter", input, signal);
            return found.Parameter?.Value ?? "";
          }}
          onDismiss={() => setShown(undefined)}
        />
      )}
    </>
  );
}

interface ValueProps {
  name: string;
  read: (signal: AbortSignal) => Promise<string>;
  onDismiss: () => void;
}

/** A value, as long as somebody looks at it. */
function Value({ name, read, onDismiss }: ValueProps) {
  const [value, setValue] = useState<string>();
  const [error, setError] = useState<CallError>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is read once, whatever else is drawn anew
  useEffect(() => {
    const abort = new AbortController();
    read(abort.signal).then(setValue, (thrown: unknown) => setError(callError(thrown)));
    return () => abort.abort();
  }, [name]);
  return (
    <Modal visible header={TEXT.secrets.value} closeAriaLabel={TEXT.close} onDismiss={onDismiss}>
      <SpaceBetween size="m">
        <Box>
          <span className="break">{name}</span>
        </Box>
        {error && <Problem error={error} />}
        {value !== undefined && <Code name={TEXT.secrets.value} text={value} />}
        {value === undefined && !error && <Spinner />}
      </SpaceBetween>
    </Modal>
  );
}

import {
  type AuthType,
  DeleteSourceCredentialsCommand,
  ImportSourceCredentialsCommand,
  ListSourceCredentialsCommand,
  type ServerType,
  type SourceCredentialsInfo,
} from "@aws-sdk/client-codebuild";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import { useState } from "react";
import { useReading, useSigned } from "../../hooks";
import { Ask } from "../../parts/Ask";
import { byText, Listing } from "../../parts/Listing";
import { TEXT } from "../../text";

const SERVERS: ServerType[] = ["GITHUB", "GITHUB_ENTERPRISE", "BITBUCKET", "GITLAB", "GITLAB_SELF_MANAGED"];
const KINDS: AuthType[] = ["PERSONAL_ACCESS_TOKEN", "BASIC_AUTH", "CODECONNECTIONS", "SECRETS_MANAGER"];

/** Credentials that sources are fetched with: of what there are some, never what they are. */
export default function Credentials() {
  const { api } = useSigned();
  const [asked, setAsked] = useState<"import" | SourceCredentialsInfo[]>();
  const reading = useReading("credentials", async (abortSignal) => {
    const found = await api.codebuild.send(new ListSourceCredentialsCommand({}), { abortSignal });
    return found.sourceCredentialsInfos ?? [];
  });
  const done = () => {
    setAsked(undefined);
    reading.reload();
  };
  return (
    <>
      <Listing<SourceCredentialsInfo>
        title={TEXT.credentials.title}
        description={TEXT.credentials.lead}
        reading={reading}
        idOf={({ arn }) => arn ?? ""}
        textOf={({ arn, serverType, authType }) => `${arn} ${serverType} ${authType}`}
        none={TEXT.credentials.none}
        noneMore={TEXT.credentials.noneMore}
        isSelectable
        actions={(selected) => (
          <>
            <Button disabled={selected.length === 0} onClick={() => setAsked(selected)}>
              {TEXT.delete}
            </Button>
            <Button variant="primary" onClick={() => setAsked("import")}>
              {TEXT.credentials.import}
            </Button>
          </>
        )}
        columns={[
          {
            id: "server",
            header: TEXT.credentials.server,
            isRowHeader: true,
            minWidth: 140,
            sortingComparator: byText(({ serverType }) => serverType),
            cell: ({ serverType }) => TEXT.credentials.servers[serverType ?? ""] ?? serverType,
          },
          {
            id: "kind",
            header: TEXT.credentials.kind,
            minWidth: 160,
            sortingComparator: byText(({ authType }) => authType),
            cell: ({ authType }) => TEXT.credentials.kinds[authType ?? ""] ?? authType,
          },
          {
            id: "arn",
            header: TEXT.project.arn,
            minWidth: 260,
            cell: ({ arn, resource }) => (
              <span className="break">
                {arn}
                {resource && (
                  <Box variant="small" display="block">
                    {resource}
                  </Box>
                )}
              </span>
            ),
          },
        ]}
      />
      {asked === "import" && <Import onDone={done} onDismiss={() => setAsked(undefined)} />}
      {Array.isArray(asked) && (
        <Ask
          header={TEXT.credentials.deleteTitle}
          action={TEXT.delete}
          work={async () => {
            for (const { arn } of asked) await api.codebuild.send(new DeleteSourceCredentialsCommand({ arn }));
          }}
          onDone={done}
          onDismiss={() => setAsked(undefined)}
        >
          <Box>{TEXT.credentials.deleteText}</Box>
          <ul className="break">
            {asked.map(({ arn }) => (
              <li key={arn}>{arn}</li>
            ))}
          </ul>
        </Ask>
      )}
    </>
  );
}

function Import({ onDone, onDismiss }: { onDone: () => void; onDismiss: () => void }) {
  const { api } = useSigned();
  const [server, setServer] = useState<ServerType>("GITHUB");
  const [kind, setKind] = useState<AuthType>("PERSONAL_ACCESS_TOKEN");
  const [username, setUsername] = useState("");
  const [token, setToken] = useState("");
  const [overwrites, setOverwrites] = useState(true);
  // What is no secret, but names one, may be seen.
  const isName = kind === "CODECONNECTIONS" || kind === "SECRETS_MANAGER";
  const option = (value: string, names: Record<string, string>) => ({ value, label: names[value] ?? value });
  return (
    <Ask
      header={TEXT.credentials.import}
      action={TEXT.credentials.import}
      isIncomplete={token.trim() === "" || (kind === "BASIC_AUTH" && username.trim() === "")}
      work={() =>
        api.codebuild.send(
          new ImportSourceCredentialsCommand({
            serverType: server,
            authType: kind,
            token: token.trim(),
            username: kind === "BASIC_AUTH" ? username.trim() : undefined,
            shouldOverwrite: overwrites,
          }),
        )
      }
      onDone={onDone}
      onDismiss={onDismiss}
    >
      <FormField label={TEXT.credentials.server}>
        <Select
          selectedOption={option(server, TEXT.credentials.servers)}
          options={SERVERS.map((value) => option(value, TEXT.credentials.servers))}
          onChange={({ detail }) => setServer(detail.selectedOption.value as ServerType)}
        />
      </FormField>
      <FormField label={TEXT.credentials.kind}>
        <Select
          selectedOption={option(kind, TEXT.credentials.kinds)}
          options={KINDS.map((value) => option(value, TEXT.credentials.kinds))}
          onChange={({ detail }) => {
            setKind(detail.selectedOption.value as AuthType);
            setToken("");
          }}
        />
      </FormField>
      {kind === "BASIC_AUTH" && (
        <FormField label={TEXT.credentials.username}>
          <Input value={username} spellcheck={false} onChange={({ detail }) => setUsername(detail.value)} />
        </FormField>
      )}
      <FormField
        label={isName ? TEXT.credentials.name[kind] : TEXT.credentials.token}
        description={isName ? undefined : TEXT.credentials.tokenHint}
      >
        <Input
          value={token}
          type={isName ? "text" : "password"}
          autoComplete={false}
          spellcheck={false}
          onChange={({ detail }) => setToken(detail.value)}
        />
      </FormField>
      <Checkbox checked={overwrites} onChange={({ detail }) => setOverwrites(detail.checked)}>
        {TEXT.credentials.overwrite}
      </Checkbox>
    </Ask>
  );
}

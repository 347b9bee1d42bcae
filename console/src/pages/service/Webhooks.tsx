import {
  BatchGetProjectsCommand,
  CreateWebhookCommand,
  DeleteWebhookCommand,
  ListProjectsCommand,
  type Project,
  type WebhookFilter,
  type WebhookFilterType,
} from "@aws-sdk/client-codebuild";
import Alert from "@cloudscape-design/components/alert";
import AttributeEditor from "@cloudscape-design/components/attribute-editor";
import Autosuggest from "@cloudscape-design/components/autosuggest";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { type Api, pages } from "../../api/client";
import { useReading, useSigned } from "../../hooks";
import { Ask } from "../../parts/Ask";
import { Code } from "../../parts/Code";
import { byText, Listing } from "../../parts/Listing";
import { paths } from "../../router";
import { TEXT } from "../../text";
import { Deliveries } from "./webhooks/Deliveries";

/** Projects of a call. */
const BATCH = 100;

const FILTERS: WebhookFilterType[] = [
  "EVENT",
  "HEAD_REF",
  "BASE_REF",
  "FILE_PATH",
  "COMMIT_MESSAGE",
  "ACTOR_ACCOUNT_ID",
  "TAG_NAME",
  "RELEASE_NAME",
];

/** All names of projects. */
function projectNames(api: Api, abortSignal: AbortSignal): Promise<string[]> {
  return pages(async (nextToken) => {
    const page = await api.codebuild.send(new ListProjectsCommand({ nextToken }), { abortSignal });
    return { items: page.projects, next: page.nextToken };
  });
}

async function hooked(api: Api, abortSignal: AbortSignal): Promise<Project[]> {
  const names = await projectNames(api, abortSignal);
  const found: Project[] = [];
  for (let at = 0; at < names.length; at += BATCH) {
    const some = new BatchGetProjectsCommand({ names: names.slice(at, at + BATCH) });
    const { projects } = await api.codebuild.send(some, { abortSignal });
    found.push(...(projects ?? []).filter(({ webhook }) => webhook));
  }
  return found;
}

/** A filter in words: `HEAD_REF = ^refs/heads/main$`. */
function said({ type, pattern, excludeMatchedPattern }: WebhookFilter): string {
  return `${type} ${excludeMatchedPattern ? "≠" : "="} ${pattern}`;
}

/** Which projects are built when somebody pushes; or what one's webhook was told. */
export default function Webhooks({ project }: { project?: string }) {
  return project === undefined ? <Hooks /> : <Deliveries key={project} project={project} />;
}

function Hooks() {
  const { api } = useSigned();
  const [asked, setAsked] = useState<"create" | Project[]>();
  const [made, setMade] = useState<{ url: string; secret?: string }>();
  const reading = useReading("webhooks", (signal) => hooked(api, signal));
  const done = () => {
    setAsked(undefined);
    reading.reload();
  };
  return (
    <SpaceBetween size="m">
      {made && (
        <Alert
          type="success"
          header={TEXT.webhooks.made}
          dismissible
          dismissAriaLabel={TEXT.close}
          onDismiss={() => setMade(undefined)}
        >
          <Box>{TEXT.webhooks.madeHint}</Box>
          <Code
            name={TEXT.webhooks.url}
            text={made.secret === undefined ? made.url : `${made.url}\n${TEXT.webhooks.secret}: ${made.secret}`}
          />
        </Alert>
      )}
      <Listing<Project>
        title={TEXT.webhooks.title}
        description={TEXT.webhooks.lead}
        reading={reading}
        idOf={({ name }) => name ?? ""}
        textOf={({ name, source }) => `${name} ${source?.location ?? ""}`}
        none={TEXT.webhooks.none}
        noneMore={TEXT.webhooks.noneMore}
        isSelectable
        actions={(selected) => (
          <>
            <Button disabled={selected.length === 0} onClick={() => setAsked(selected)}>
              {TEXT.delete}
            </Button>
            <Button variant="primary" onClick={() => setAsked("create")}>
              {TEXT.webhooks.create}
            </Button>
          </>
        )}
        columns={[
          {
            id: "project",
            header: TEXT.dashboard.project,
            isRowHeader: true,
            minWidth: 140,
            sortingComparator: byText(({ name }) => name),
            cell: ({ name }) => <Link href={paths.webhooks(name)}>{name}</Link>,
          },
          {
            id: "source",
            header: TEXT.project.source,
            minWidth: 220,
            cell: ({ source }) => (
              <span className="break">
                {source?.type}
                <Box variant="small" display="block">
                  {source?.location}
                </Box>
              </span>
            ),
          },
          {
            id: "filters",
            header: TEXT.webhooks.filters,
            minWidth: 220,
            cell: ({ webhook }) => {
              const groups = webhook?.filterGroups ?? [];
              if (groups.length === 0) return webhook?.branchFilter ?? TEXT.webhooks.everything;
              return groups.map((group) => {
                const text = group.map(said).join(TEXT.webhooks.and);
                return (
                  <div className="break" key={text}>
                    {text}
                  </div>
                );
              });
            },
          },
          {
            id: "url",
            header: TEXT.webhooks.url,
            minWidth: 240,
            cell: ({ webhook }) => <span className="break">{webhook?.payloadUrl ?? "–"}</span>,
          },
        ]}
      />
      {asked === "create" && (
        <Create
          onMade={(url, secret) => {
            done();
            setMade({ url, secret });
          }}
          onDismiss={() => setAsked(undefined)}
        />
      )}
      {Array.isArray(asked) && (
        <Ask
          header={TEXT.webhooks.deleteTitle}
          action={TEXT.delete}
          work={async () => {
            for (const { name } of asked) await api.codebuild.send(new DeleteWebhookCommand({ projectName: name }));
          }}
          onDone={done}
          onDismiss={() => setAsked(undefined)}
        >
          <Box>{TEXT.webhooks.deleteText}</Box>
          <ul className="break">
            {asked.map(({ name }) => (
              <li key={name}>{name}</li>
            ))}
          </ul>
        </Ask>
      )}
    </SpaceBetween>
  );
}

interface CreateProps {
  onMade: (url: string, secret?: string) => void;
  onDismiss: () => void;
}

function Create({ onMade, onDismiss }: CreateProps) {
  const { api } = useSigned();
  const [project, setProject] = useState("");
  const [isManual, setManual] = useState(false);
  const [filters, setFilters] = useState<WebhookFilter[]>([{ type: "EVENT", pattern: "PUSH" }]);
  const names = useReading("names", (signal) => projectNames(api, signal));
  return (
    <Ask
      size="large"
      header={TEXT.webhooks.create}
      action={TEXT.webhooks.create}
      isIncomplete={project.trim() === ""}
      work={async () => {
        const group = filters.filter(({ pattern }) => pattern?.trim());
        const { webhook } = await api.codebuild.send(
          new CreateWebhookCommand({
            projectName: project.trim(),
            filterGroups: group.length > 0 ? [group] : undefined,
            manualCreation: isManual || undefined,
          }),
        );
        onMade(webhook?.payloadUrl ?? webhook?.url ?? "", webhook?.secret);
      }}
      onDone={() => {}}
      onDismiss={onDismiss}
    >
      <FormField label={TEXT.dashboard.project} description={TEXT.webhooks.projectHint} stretch>
        <Autosuggest
          value={project}
          options={names.data?.map((value) => ({ value })) ?? []}
          empty={TEXT.project.none}
          clearAriaLabel={TEXT.clear}
          enteredTextLabel={(value) => `${TEXT.access.use} ${value}`}
          onChange={({ detail }) => setProject(detail.value)}
        />
      </FormField>
      <Checkbox
        checked={isManual}
        description={TEXT.webhooks.manualHint}
        onChange={({ detail }) => setManual(detail.checked)}
      >
        {TEXT.webhooks.manual}
      </Checkbox>
      <FormField label={TEXT.webhooks.filters} description={TEXT.webhooks.filtersHint} stretch>
        <AttributeEditor<WebhookFilter>
          items={filters}
          addButtonText={TEXT.webhooks.addFilter}
          removeButtonText={TEXT.form.remove}
          empty={TEXT.webhooks.everything}
          onAddButtonClick={() => setFilters([...filters, { type: "HEAD_REF", pattern: "" }])}
          onRemoveButtonClick={({ detail }) => setFilters(filters.filter((_, at) => at !== detail.itemIndex))}
          definition={[
            {
              label: TEXT.overrides.type,
              control: (item, at) => (
                <Select
                  selectedOption={{ value: item.type, label: item.type }}
                  options={FILTERS.map((value) => ({ value, label: value }))}
                  onChange={({ detail }) => {
                    const type = detail.selectedOption.value as WebhookFilterType;
                    setFilters(filters.with(at, { ...item, type }));
                  }}
                />
              ),
            },
            {
              label: TEXT.webhooks.pattern,
              control: (item, at) => (
                <Input
                  value={item.pattern ?? ""}
                  placeholder="^refs/heads/main$"
                  spellcheck={false}
                  onChange={({ detail }) => setFilters(filters.with(at, { ...item, pattern: detail.value }))}
                />
              ),
            },
          ]}
        />
      </FormField>
    </Ask>
  );
}

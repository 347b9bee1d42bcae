import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import { useEffect, useRef, useState } from "react";
import { type CallError, callError } from "../../api/client";
import type { AuditEvent, AuditPage, Verified } from "../../api/kiln";
import { count, dateTime } from "../../format";
import { useReading, useSigned } from "../../hooks";
import { Code } from "../../parts/Code";
import { Problem } from "../../parts/Problem";
import { type AuditFilter, navigate, paths } from "../../router";
import { TEXT } from "../../text";

/** Records that are read at a time. */
const PAGE = 100;
/** Answers that are asked for until there is something: a record that is looked for may be far back. */
const LOOKS = 20;
/** How long somebody stops typing before it is asked for. */
const PAUSE = 400;

/** Who did what. The address says what is looked for. */
export default function Audit({ filter }: { filter: AuditFilter }) {
  const { api } = useSigned();
  const [more, setMore] = useState<{ events: AuditEvent[]; next?: string }>();
  const [isBusy, setBusy] = useState(false);
  const [failed, setFailed] = useState<CallError>();
  const [shown, setShown] = useState<AuditEvent>();
  const [verified, setVerified] = useState<Verified>();
  const key = JSON.stringify(filter);

  const read = async (nextToken: string | undefined, signal?: AbortSignal): Promise<AuditPage> => {
    const input = {
      userName: filter.user,
      eventName: filter.operation,
      eventSource: filter.service,
      resource: filter.resource,
      refused: filter.kind === "refused" ? true : undefined,
      readOnly: filter.kind === "changes" ? false : undefined,
      startTime: filter.hours === undefined ? undefined : Date.now() / 1000 - filter.hours * 3600,
      maxResults: PAGE,
    };
    let page: AuditPage = { events: [], nextToken };
    for (let look = 0; look < LOOKS; look++) {
      page = await api.kiln<AuditPage>("LookupEvents", { ...input, nextToken: page.nextToken }, signal);
      if (page.events.length > 0 || page.nextToken === undefined) break;
    }
    return page;
  };
  const reading = useReading(`audit ${key}`, (signal) => read(undefined, signal));
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was read on was of another filter
  useEffect(() => setMore(undefined), [key]);

  const act = async (work: () => Promise<void>) => {
    setBusy(true);
    setFailed(undefined);
    try {
      await work();
    } catch (thrown) {
      setFailed(callError(thrown));
    }
    setBusy(false);
  };
  const next = more ? more.next : reading.data?.nextToken;
  const readOn = () =>
    act(async () => {
      const page = await read(next);
      setMore({ events: [...(more?.events ?? []), ...page.events], next: page.nextToken });
    });
  const verify = () => act(async () => setVerified(await api.kiln<Verified>("VerifyAuditLog", {})));
  const events = [...(reading.data?.events ?? []), ...(more?.events ?? [])];

  return (
    <SpaceBetween size="m">
      <Header
        variant="h1"
        description={TEXT.audit.lead}
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button iconName="refresh" ariaLabel={TEXT.refresh} onClick={reading.reload} />
            <Button loading={isBusy} onClick={() => void verify()}>
              {TEXT.audit.verify}
            </Button>
          </SpaceBetween>
        }
      >
        {TEXT.audit.title}
      </Header>
      {failed && <Problem error={failed} />}
      {verified && (
        <Alert
          type={verified.problem ? "error" : "success"}
          header={verified.problem ? TEXT.audit.broken : TEXT.audit.whole(count(verified.records))}
          dismissible
          dismissAriaLabel={TEXT.close}
          onDismiss={() => setVerified(undefined)}
        >
          {verified.problem && (
            <Box>
              {TEXT.audit.record(count(verified.problem.sequence))}: {verified.problem.what} {verified.problem.file}
            </Box>
          )}
          <Box>{TEXT.audit.end}</Box>
          <Code name={TEXT.audit.endName} text={verified.end} />
        </Alert>
      )}
      <Filters filter={filter} />
      {reading.error && !reading.data ? (
        <Problem error={reading.error} />
      ) : (
        <Table<AuditEvent>
          trackBy="sequence"
          items={events}
          loading={!reading.data}
          loadingText={TEXT.loading}
          enableKeyboardNavigation
          wrapLines
          ariaLabels={{ tableLabel: TEXT.audit.title }}
          empty={<Box textAlign="center">{TEXT.audit.none}</Box>}
          footer={
            next !== undefined && (
              <Box textAlign="center">
                <Button loading={isBusy} onClick={() => void readOn()}>
                  {TEXT.project.more}
                </Button>
              </Box>
            )
          }
          columnDefinitions={[
            {
              id: "operation",
              header: TEXT.audit.operation,
              isRowHeader: true,
              minWidth: 180,
              cell: (event) => (
                <Button
                  variant="inline-link"
                  ariaLabel={TEXT.audit.show(event.eventName, event.sequence)}
                  onClick={() => setShown(event)}
                >
                  {event.eventName}
                </Button>
              ),
            },
            {
              id: "time",
              header: TEXT.audit.time,
              minWidth: 160,
              cell: ({ eventTime }) => dateTime(new Date(eventTime)),
            },
            {
              id: "who",
              header: TEXT.audit.user,
              minWidth: 140,
              cell: (event) => <span className="break">{who(event)}</span>,
            },
            {
              id: "service",
              header: TEXT.audit.service,
              minWidth: 110,
              cell: ({ eventSource }) => eventSource.replace(/\.amazonaws\.com$/, ""),
            },
            {
              id: "result",
              header: TEXT.audit.result,
              minWidth: 150,
              cell: ({ errorCode }) =>
                errorCode === undefined ? (
                  <StatusIndicator type="success">{TEXT.audit.done}</StatusIndicator>
                ) : (
                  <StatusIndicator type="stopped">{errorCode}</StatusIndicator>
                ),
            },
            {
              id: "resource",
              header: TEXT.audit.resource,
              minWidth: 240,
              cell: ({ resources }) => <span className="break">{resources?.map(({ ARN }) => ARN).join(" ")}</span>,
            },
          ]}
        />
      )}
      {shown && (
        <Modal
          visible
          size="large"
          header={TEXT.audit.record(count(shown.sequence))}
          closeAriaLabel={TEXT.close}
          onDismiss={() => setShown(undefined)}
        >
          <Code name={TEXT.audit.recordName} text={JSON.stringify(shown, null, 2)} />
        </Modal>
      )}
    </SpaceBetween>
  );
}

function who({ userIdentity }: AuditEvent): string {
  const arn = userIdentity?.arn;
  return userIdentity?.userName ?? arn?.split(":").pop() ?? userIdentity?.type ?? "–";
}

/** What is looked for: in the address, a moment after it was typed. */
function Filters({ filter }: { filter: AuditFilter }) {
  const [typed, setTyped] = useState(filter);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const key = JSON.stringify(filter);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as the address says, whenever that changes
  useEffect(() => setTyped(filter), [key]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = (part: Partial<AuditFilter>, pause: number) => {
    const next = { ...typed, ...part };
    setTyped(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => navigate(paths.audit(next), "replace"), pause);
  };
  const field = (label: string, name: "user" | "operation" | "service" | "resource", placeholder: string) => (
    <FormField label={label} stretch>
      <Input
        value={typed[name] ?? ""}
        placeholder={placeholder}
        spellcheck={false}
        onChange={({ detail }) => change({ [name]: detail.value.trim() || undefined }, PAUSE)}
      />
    </FormField>
  );
  const times = [
    { value: "", label: TEXT.audit.anyTime },
    ...[1, 24, 168, 720].map((hours) => ({ value: String(hours), label: TEXT.audit.hours(hours) })),
  ];
  const kinds = [
    { value: "", label: TEXT.audit.allKinds },
    { value: "changes", label: TEXT.audit.changes },
    { value: "refused", label: TEXT.audit.refused },
  ];
  const third = { colspan: { default: 6, s: 4 } };
  return (
    <Grid gridDefinition={[third, third, third, third, third, third]}>
      {field(TEXT.audit.user, "user", "alice")}
      {field(TEXT.audit.operation, "operation", "StartBuild")}
      {field(TEXT.audit.service, "service", "codebuild")}
      {field(TEXT.audit.resource, "resource", "arn:aws:…")}
      <FormField label={TEXT.audit.time} stretch>
        <Select
          selectedOption={times.find(({ value }) => value === String(typed.hours ?? "")) ?? null}
          options={times}
          onChange={({ detail }) => {
            const { value } = detail.selectedOption;
            change({ hours: value ? Number(value) : undefined }, 0);
          }}
        />
      </FormField>
      <FormField label={TEXT.audit.kind} stretch>
        <Select
          selectedOption={kinds.find(({ value }) => value === (typed.kind ?? "")) ?? null}
          options={kinds}
          onChange={({ detail }) => {
            const { value } = detail.selectedOption;
            change({ kind: value === "changes" || value === "refused" ? value : undefined }, 0);
          }}
        />
      </FormField>
    </Grid>
  );
}

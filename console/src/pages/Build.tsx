import { BatchGetBuildsCommand, RetryBuildCommand, StopBuildCommand } from "@aws-sdk/client-codebuild";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Container from "@cloudscape-design/components/container";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tabs from "@cloudscape-design/components/tabs";
import { lazy, Suspense, useMemo, useState } from "react";
import { type CallError, callError } from "../api/client";
import type { BuildDetail } from "../api/kiln";
import { dateTime, duration } from "../format";
import { useNow, useReading, useSigned } from "../hooks";
import { isFailed, LogViewer, useLog } from "../log/LogViewer";
import { logOf } from "../log/source";
import { Problem } from "../parts/Problem";
import { Status } from "../parts/status";
import { Timeline } from "../parts/Timeline";
import { type Lines, navigate, paths } from "../router";
import { TEXT } from "../text";
import { Details } from "./build/Details";
import { Environment } from "./build/Environment";
import { Results } from "./build/Results";
import { StartBuild } from "./StartBuild";

const Resources = lazy(() => import("./build/Resources"));

/** Between two looks at a build that runs. */
const LOOK = 1000;

export function BuildPage({ id, lines }: { id: string; lines?: Lines }) {
  const { api } = useSigned();
  const [tab, setTab] = useState("log");
  const [failed, setFailed] = useState<CallError>();
  const [isBusy, setBusy] = useState(false);
  const [isAgain, setAgain] = useState(false);
  // Together with the build, not after it; and it stays while another tab is looked at.
  const source = useMemo(() => logOf(api, id), [api, id]);
  const log = useLog(source);

  const reading = useReading(
    `build ${id}`,
    async (signal) => {
      const [found, detail] = await Promise.all([
        api.codebuild.send(new BatchGetBuildsCommand({ ids: [id] }), { abortSignal: signal }),
        // Who may see a build need not be allowed to see it in all detail.
        api.kiln<BuildDetail>("DescribeBuild", { id, maxSamples: 300 }, signal).catch((thrown: unknown) => {
          const error = callError(thrown);
          if (error?.isDenied) return error;
          throw thrown;
        }),
      ]);
      return { build: found.builds?.[0], detail };
    },
    (known) => (known?.build?.buildComplete || (known && !known.build) ? undefined : LOOK),
  );
  const build = reading.data?.build;
  const detail = reading.data?.detail instanceof Error ? undefined : reading.data?.detail;
  const denied = reading.data?.detail instanceof Error ? reading.data.detail : undefined;
  const isOver = build?.buildComplete ?? false;
  const now = useNow(build !== undefined && !isOver);

  if (!reading.data) {
    if (reading.error?.code === "ResourceNotFoundException") return <Alert type="warning">{TEXT.build.missing}</Alert>;
    return reading.error ? <Problem error={reading.error} /> : <Spinner size="large" />;
  }
  if (!build) return <Alert type="warning">{TEXT.build.missing}</Alert>;

  const act = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setFailed(undefined);
    try {
      await work();
      reading.reload();
    } catch (thrown) {
      setFailed(callError(thrown));
    }
    setBusy(false);
  };
  const stop = () => act(() => api.codebuild.send(new StopBuildCommand({ id })));
  const retry = () =>
    act(async () => {
      const made = await api.codebuild.send(new RetryBuildCommand({ id }));
      if (made.build?.id) navigate(paths.build(made.build.id));
    });

  const project = build.projectName ?? "";
  const began = build.startTime?.getTime() ?? now;
  const took = (build.endTime?.getTime() ?? now) - began;
  const hasFailed = isOver && build.buildStatus !== "SUCCEEDED" && build.buildStatus !== "STOPPED";
  const why = build.phases?.find((phase) => phase.phaseStatus && !["SUCCEEDED", "STOPPED"].includes(phase.phaseStatus));
  const context = why?.contexts?.find((one) => one.message);
  const command = detail?.commands.find(isFailed);
  const commandLine = command?.lastLine ?? command?.firstLine;

  return (
    <SpaceBetween size="m">
      <Header
        variant="h1"
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            {!isOver && (
              <Button loading={isBusy} onClick={() => void stop()}>
                {TEXT.build.stop}
              </Button>
            )}
            {isOver && (
              <ButtonDropdown
                loading={isBusy}
                mainAction={{ text: TEXT.build.retry, onClick: () => void retry() }}
                items={[{ id: "again", text: TEXT.build.again }]}
                ariaLabel={TEXT.menu.more}
                onItemClick={() => setAgain(true)}
              />
            )}
          </SpaceBetween>
        }
      >
        {TEXT.build.title(project, build.buildNumber)} <Status status={build.buildStatus} />
      </Header>
      {failed && <Problem error={failed} />}
      {reading.error && <Problem error={reading.error} />}
      {detail?.queue && (
        <Alert type="info" header={TEXT.build.waiting}>
          {TEXT.build.place(detail.queue.position, detail.queue.reason)}
        </Alert>
      )}
      {hasFailed && context && (
        <Alert
          type="error"
          header={`${TEXT.build.failed}: ${why?.phaseType ?? ""}`}
          action={
            commandLine !== undefined && (
              <Button
                onClick={() => {
                  setTab("log");
                  navigate(paths.build(id, { first: commandLine, last: commandLine }), "replace");
                }}
              >
                {TEXT.build.toLog}
              </Button>
            )
          }
        >
          <span className="break">{context.message}</span>
          {detail?.keptFileSystem && (
            <Box padding={{ top: "xs" }}>
              {TEXT.build.kept} <code className="command">{`kiln debug ${id}`}</code>{" "}
              <CopyToClipboard
                variant="icon"
                textToCopy={`kiln debug ${id}`}
                copyButtonAriaLabel={TEXT.copy}
                copySuccessText={TEXT.copied}
                copyErrorText={TEXT.copyFailed}
              />
            </Box>
          )}
        </Alert>
      )}
      <Container>
        <SpaceBetween size="m">
          <KeyValuePairs
            columns={4}
            items={[
              { label: TEXT.build.started, value: build.startTime ? dateTime(build.startTime) : "–" },
              { label: TEXT.build.took, value: duration(took) },
              { label: TEXT.build.by, value: <span className="break">{build.initiator ?? "–"}</span> },
              {
                label: TEXT.build.source,
                value: (
                  <span className="break">
                    {build.source?.location ?? build.source?.type}
                    {build.resolvedSourceVersion && (
                      <Box variant="small" display="block">
                        {build.resolvedSourceVersion}
                      </Box>
                    )}
                  </span>
                ),
              },
            ]}
          />
          <Timeline
            phases={(build.phases ?? []).map((phase) => {
              const exact = detail?.phases.find((one) => one.phaseType === phase.phaseType);
              const start = phase.startTime?.getTime() ?? now;
              return {
                name: phase.phaseType ?? "",
                status: phase.phaseStatus,
                milliseconds: exact?.durationInMilliseconds ?? (phase.endTime?.getTime() ?? now) - start,
              };
            })}
          />
        </SpaceBetween>
      </Container>
      <Tabs
        activeTabId={tab}
        i18nStrings={{ scrollLeftAriaLabel: TEXT.build.tabsLeft, scrollRightAriaLabel: TEXT.build.tabsRight }}
        onChange={({ detail: change }) => setTab(change.activeTabId)}
        tabs={[
          {
            id: "log",
            label: TEXT.build.log,
            content: (
              <LogViewer
                source={source}
                store={log}
                commands={detail?.commands ?? []}
                isOver={isOver}
                hasFailed={hasFailed}
                lines={lines}
              />
            ),
          },
          {
            id: "details",
            label: TEXT.build.details,
            content: denied ? (
              <Problem error={denied} />
            ) : (
              <Details
                detail={detail}
                now={now}
                onLine={(line) => {
                  setTab("log");
                  navigate(paths.build(id, { first: line, last: line }), "replace");
                }}
              />
            ),
          },
          {
            id: "environment",
            label: TEXT.build.environment,
            content: <Environment build={build} notices={detail?.notices ?? []} />,
          },
          {
            id: "results",
            label: TEXT.build.results,
            content: denied ? <Problem error={denied} /> : <Results detail={detail} />,
          },
          {
            id: "resources",
            label: TEXT.build.resources,
            content: denied ? (
              <Problem error={denied} />
            ) : (
              <Suspense fallback={<Spinner size="large" />}>
                <Resources detail={detail} computeType={build.environment?.computeType} />
              </Suspense>
            ),
          },
        ]}
      />
      {isAgain && <StartBuild project={project} like={build} onDismiss={() => setAgain(false)} />}
    </SpaceBetween>
  );
}

import {
  BatchGetBuildsCommand,
  BatchGetProjectsCommand,
  type Build,
  ListBuildsForProjectCommand,
  StartBuildCommand,
} from "@aws-sdk/client-codebuild";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Container from "@cloudscape-design/components/container";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { type CallError, callError } from "../api/client";
import { count } from "../format";
import { useNow, useReading, useSigned } from "../hooks";
import { buildColumns } from "../parts/buildColumns";
import { Problem } from "../parts/Problem";
import { Spark } from "../parts/Spark";
import { ofProject } from "../project/draft";
import { Exports } from "../project/Exports";
import { navigate, paths } from "../router";
import { TEXT } from "../text";
import { DeleteProject } from "./DeleteProject";
import { StartBuild } from "./StartBuild";
import { Visibility } from "./Visibility";

/** Builds that are shown at first, and at each "Load more". */
const SHOWN = 25;

export function ProjectPage({ name }: { name: string }) {
  const { api } = useSigned();
  const [most, setMost] = useState(SHOWN);
  const [isStarting, setStarting] = useState(false);
  const [hasOverrides, setOverrides] = useState(false);
  const [shown, setShown] = useState<string>();
  const [failed, setFailed] = useState<CallError>();
  const now = useNow(true);

  const project = useReading(`project ${name}`, async (abortSignal) => {
    const found = await api.codebuild.send(new BatchGetProjectsCommand({ names: [name] }), { abortSignal });
    return { project: found.projects?.[0] };
  });
  const builds = useReading(
    `builds ${name} ${most}`,
    async (abortSignal) => {
      const ids: string[] = [];
      let nextToken: string | undefined;
      do {
        const input = { projectName: name, sortOrder: "DESCENDING", nextToken } as const;
        const page = await api.codebuild.send(new ListBuildsForProjectCommand(input), { abortSignal });
        ids.push(...(page.ids ?? []));
        nextToken = page.nextToken;
      } while (nextToken !== undefined && ids.length <= most);
      const shown = ids.slice(0, most);
      const found: Build[] = [];
      for (let at = 0; at < shown.length; at += 100) {
        const some = { ids: shown.slice(at, at + 100) };
        found.push(...((await api.codebuild.send(new BatchGetBuildsCommand(some), { abortSignal })).builds ?? []));
      }
      const place = new Map(shown.map((id, at) => [id, at]));
      found.sort((a, b) => (place.get(a.id ?? "") ?? 0) - (place.get(b.id ?? "") ?? 0));
      return { builds: found, hasMore: ids.length > most || nextToken !== undefined };
    },
    (known) => (known?.builds.some((build) => !build.buildComplete) ? 1500 : 5000),
  );

  const start = async () => {
    setStarting(true);
    setFailed(undefined);
    try {
      const { build } = await api.codebuild.send(new StartBuildCommand({ projectName: name }));
      if (build?.id) navigate(paths.build(build.id));
    } catch (thrown) {
      setFailed(callError(thrown));
      setStarting(false);
    }
  };

  const known = project.data?.project;
  if (project.data && !known) return <Alert type="warning">{TEXT.project.missing}</Alert>;
  const buildspec = known?.source?.buildspec;
  return (
    <SpaceBetween size="l">
      <Header
        variant="h1"
        description={known?.description}
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <ButtonDropdown
              items={[
                { id: "history", text: TEXT.dashboard.of, href: paths.dashboard({ project: name, days: 7 }) },
                { id: "edit", text: TEXT.form.edit, href: paths.edit(name), disabled: !known },
                { id: "export", text: TEXT.form.exports.title, disabled: !known },
                { id: "visibility", text: TEXT.visibility.item, disabled: !known },
                { id: "delete", text: TEXT.form.delete },
              ]}
              onItemClick={({ detail }) => {
                if (detail.href === undefined) setShown(detail.id);
              }}
            >
              {TEXT.form.more}
            </ButtonDropdown>
            <Button onClick={() => setOverrides(true)}>{TEXT.project.startWith}</Button>
            <Button variant="primary" loading={isStarting} onClick={() => void start()}>
              {TEXT.project.start}
            </Button>
          </SpaceBetween>
        }
      >
        {name}
      </Header>
      {failed && <Problem error={failed} />}
      {project.error && !known && <Problem error={project.error} />}
      {known && (
        <Container header={<Header variant="h2">{TEXT.project.details}</Header>}>
          <SpaceBetween size="m">
            <KeyValuePairs
              columns={4}
              items={[
                {
                  label: TEXT.project.source,
                  value: (
                    <span className="break">
                      {known.source?.type}
                      {known.source?.location && (
                        <Box variant="small" display="block">
                          {known.source.location}
                        </Box>
                      )}
                    </span>
                  ),
                },
                {
                  label: TEXT.project.image,
                  value: (
                    <span className="break">
                      {known.environment?.image}
                      {known.environment?.privilegedMode && (
                        <Box variant="small" display="block">
                          {TEXT.project.privileged}
                        </Box>
                      )}
                    </span>
                  ),
                },
                { label: TEXT.project.compute, value: known.environment?.computeType ?? "–" },
                { label: TEXT.project.timeout, value: TEXT.project.timeoutOf(known.timeoutInMinutes ?? 60) },
                { label: TEXT.project.role, value: <span className="break">{known.serviceRole}</span> },
                { label: TEXT.project.arn, value: <span className="break">{known.arn}</span> },
                { label: TEXT.project.rate, value: <Spark builds={builds.data?.builds ?? []} /> },
                ...(known.projectVisibility === "PUBLIC_READ" && known.publicProjectAlias
                  ? [
                      {
                        label: TEXT.visibility.title,
                        value: <Link href={paths.public(known.publicProjectAlias)}>{TEXT.visibility.address}</Link>,
                      },
                    ]
                  : []),
                ...(known.badge?.badgeEnabled && known.badge.badgeRequestUrl
                  ? [{ label: TEXT.form.labels.badge, value: <Badge name={name} url={known.badge.badgeRequestUrl} /> }]
                  : []),
              ]}
            />
            <ExpandableSection headerText={TEXT.project.buildspec}>
              <pre className="code">{buildspec ? buildspec : TEXT.project.inSource}</pre>
            </ExpandableSection>
          </SpaceBetween>
        </Container>
      )}
      {builds.error && !builds.data ? (
        <Problem error={builds.error} />
      ) : (
        <Table<Build>
          trackBy="id"
          items={builds.data?.builds ?? []}
          loading={!builds.data}
          loadingText={TEXT.loading}
          enableKeyboardNavigation
          header={<Header variant="h2">{TEXT.project.builds}</Header>}
          empty={<Box textAlign="center">{TEXT.project.noBuilds}</Box>}
          footer={
            builds.data?.hasMore && (
              <Box textAlign="center">
                <Button onClick={() => setMost(most + SHOWN)}>{TEXT.project.more}</Button>
              </Box>
            )
          }
          columnDefinitions={[
            {
              id: "number",
              header: TEXT.project.number,
              isRowHeader: true,
              minWidth: 80,
              cell: ({ id, buildNumber }) => (
                <Link href={paths.build(id ?? "")}>{buildNumber === undefined ? id : `#${count(buildNumber)}`}</Link>
              ),
            },
            ...buildColumns(now),
            {
              id: "version",
              header: TEXT.project.version,
              minWidth: 140,
              cell: ({ resolvedSourceVersion, sourceVersion }) =>
                (resolvedSourceVersion?.slice(0, 12) ?? sourceVersion) || "–",
            },
            {
              id: "by",
              header: TEXT.project.by,
              minWidth: 120,
              cell: ({ initiator }) => initiator ?? "–",
            },
          ]}
        />
      )}
      {shown === "export" && known && (
        <Modal
          visible
          size="large"
          header={TEXT.form.exports.title}
          closeAriaLabel={TEXT.close}
          onDismiss={() => setShown(undefined)}
        >
          <Exports draft={ofProject(known)} command="create-project" visible={known} />
        </Modal>
      )}
      {shown === "visibility" && known && (
        <Visibility
          project={known}
          onDone={() => {
            setShown(undefined);
            project.reload();
          }}
          onDismiss={() => setShown(undefined)}
        />
      )}
      {shown === "delete" && <DeleteProject name={name} onDismiss={() => setShown(undefined)} />}
      {hasOverrides && <StartBuild project={name} onDismiss={() => setOverrides(false)} />}
    </SpaceBetween>
  );
}

/** The badge as others see it, and what a README needs to show it. */
function Badge({ name, url }: { name: string; url: string }) {
  const { pathname, search } = new URL(url, location.origin);
  return (
    <SpaceBetween direction="horizontal" size="xs" alignItems="center">
      {/* From this server, whatever name others know it by. */}
      <img src={`${pathname}${search}`} alt={TEXT.project.badgeOf(name)} />
      <CopyToClipboard
        variant="icon"
        copyButtonAriaLabel={TEXT.project.copyBadge}
        textToCopy={`![${TEXT.project.badgeOf(name)}](${url})`}
        copySuccessText={TEXT.copied}
        copyErrorText={TEXT.copyFailed}
      />
    </SpaceBetween>
  );
}

import type { Build, EnvironmentVariable } from "@aws-sdk/client-codebuild";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { words } from "../../parts/status";
import { TEXT } from "../../text";

/** What the build ran in. */
export function Environment({ build, notices }: { build: Build; notices: string[] }) {
  const environment = build.environment;
  const long = (text?: string) => <span className="break">{text || "–"}</span>;
  return (
    <SpaceBetween size="l">
      {notices.length > 0 && (
        <Alert type="info" header={TEXT.build.notices}>
          {notices.map((notice) => (
            <Box key={notice}>{notice}</Box>
          ))}
        </Alert>
      )}
      <Container header={<Header variant="h2">{TEXT.build.environment}</Header>}>
        <SpaceBetween size="m">
          <KeyValuePairs
            columns={3}
            items={[
              { label: TEXT.environment.image, value: long(environment?.image) },
              { label: TEXT.environment.compute, value: long(environment?.computeType) },
              {
                label: TEXT.environment.privileged,
                value: environment?.privilegedMode ? TEXT.environment.yes : TEXT.environment.no,
              },
              { label: TEXT.environment.timeout, value: TEXT.project.timeoutOf(build.timeoutInMinutes ?? 60) },
              { label: TEXT.environment.role, value: long(build.serviceRole) },
              { label: TEXT.environment.key, value: long(build.encryptionKey) },
              { label: TEXT.environment.cache, value: long(build.cache?.type) },
              { label: TEXT.environment.id, value: long(build.id) },
              { label: TEXT.environment.arn, value: long(build.arn) },
            ]}
          />
          {build.source?.buildspec && (
            <div>
              <Box variant="awsui-key-label">{TEXT.environment.buildspec}</Box>
              <pre className="code">{build.source.buildspec}</pre>
            </div>
          )}
        </SpaceBetween>
      </Container>
      <Table<EnvironmentVariable>
        trackBy="name"
        wrapLines
        items={environment?.environmentVariables ?? []}
        header={<Header variant="h2">{TEXT.environment.variables}</Header>}
        empty={<Box textAlign="center">{TEXT.environment.none}</Box>}
        columnDefinitions={[
          { id: "name", header: TEXT.overrides.name, isRowHeader: true, minWidth: 120, cell: ({ name }) => long(name) },
          { id: "value", header: TEXT.overrides.value, minWidth: 160, cell: ({ value }) => long(value) },
          {
            id: "type",
            header: TEXT.overrides.type,
            minWidth: 120,
            cell: ({ type }) => words(type ?? "PLAINTEXT"),
          },
        ]}
      />
    </SpaceBetween>
  );
}

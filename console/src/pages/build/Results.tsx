import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { lazy, Suspense, useState } from "react";
import { callError } from "../../api/client";
import type { ArtifactDetail, BuildDetail, ReportDetail } from "../../api/kiln";
import { bytes, count } from "../../format";
import { useSigned } from "../../hooks";
import { save } from "../../parts/save";
import { Status } from "../../parts/status";
import { TEXT } from "../../text";

const Browse = lazy(() => import("./Browse"));

/** Largest archive that is browsed; a browser keeps it, on its disk where it is large. */
const BROWSED = 1024 * 1024 * 1024;

/** What a report says in a line. */
function result({ tests, lines }: ReportDetail): string {
  if (tests) return TEXT.results.tests(tests.statusCounts?.SUCCEEDED ?? 0, tests.total);
  if (lines) {
    const all = lines.covered + lines.missed;
    return TEXT.results.coverage(all > 0 ? (lines.covered / all) * 100 : 0);
  }
  return "–";
}

/** What the build has made. */
export function Results({ detail }: { detail?: BuildDetail }) {
  const { api } = useSigned();
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState<string>();
  const [opened, setOpened] = useState<{ archive: Blob; name: string }>();

  const fetched = async (artifact: ArtifactDetail, use: (content: Blob, name: string) => void) => {
    if (!detail) return;
    setError(undefined);
    setBusy(artifact.location);
    try {
      const input = { id: detail.id, artifactIdentifier: artifact.artifactIdentifier };
      const answer = await api.bytes("GetBuildArtifact", input);
      const said = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1];
      const name = said ?? `${detail.id.replace(":", "-")}.zip`;
      use(await answer.blob(), name);
    } catch (thrown) {
      setError(callError(thrown)?.message);
    }
    setBusy(undefined);
  };

  return (
    <SpaceBetween size="l">
      {error !== undefined && <Alert type="error">{error}</Alert>}
      <Table<ArtifactDetail>
        trackBy="location"
        wrapLines
        items={detail?.artifacts ?? []}
        header={<Header variant="h2">{TEXT.results.artifacts}</Header>}
        empty={<Box textAlign="center">{TEXT.results.none}</Box>}
        columnDefinitions={[
          {
            id: "name",
            header: TEXT.results.name,
            isRowHeader: true,
            minWidth: 140,
            cell: ({ artifactIdentifier }) => artifactIdentifier ?? TEXT.results.primary,
          },
          { id: "files", header: TEXT.results.files, minWidth: 70, cell: ({ files }) => count(files) },
          { id: "size", header: TEXT.results.size, minWidth: 90, cell: (artifact) => bytes(artifact.bytes) },
          {
            id: "place",
            header: TEXT.results.place,
            minWidth: 220,
            cell: ({ location, sha256 }) => (
              <span className="break">
                {location}
                {sha256 && (
                  <Box variant="small" display="block">
                    SHA-256 {sha256}
                  </Box>
                )}
              </span>
            ),
          },
          {
            id: "download",
            header: TEXT.results.download,
            minWidth: 150,
            cell: (artifact) => (
              <SpaceBetween direction="horizontal" size="xs">
                {artifact.packaging === "ZIP" && artifact.bytes <= BROWSED && (
                  <Button
                    disabled={busy !== undefined}
                    onClick={() => void fetched(artifact, (archive, name) => setOpened({ archive, name }))}
                  >
                    {TEXT.browse.open}
                  </Button>
                )}
                <Button
                  iconName="download"
                  loading={busy !== undefined && busy === artifact.location}
                  onClick={() => void fetched(artifact, save)}
                >
                  {TEXT.results.download}
                </Button>
              </SpaceBetween>
            ),
          },
        ]}
      />
      <Table<ReportDetail>
        trackBy="name"
        wrapLines
        items={detail?.reports ?? []}
        header={<Header variant="h2">{TEXT.results.reports}</Header>}
        empty={<Box textAlign="center">{TEXT.results.noReports}</Box>}
        columnDefinitions={[
          { id: "name", header: TEXT.results.name, isRowHeader: true, minWidth: 140, cell: ({ name }) => name },
          {
            id: "status",
            header: TEXT.results.status,
            minWidth: 120,
            cell: ({ status }) => <Status status={status} />,
          },
          { id: "result", header: TEXT.results.result, minWidth: 200, cell: result },
          { id: "format", header: TEXT.overrides.type, minWidth: 120, cell: ({ format }) => format },
        ]}
      />
      {opened && (
        <Suspense>
          <Browse {...opened} onDismiss={() => setOpened(undefined)} />
        </Suspense>
      )}
    </SpaceBetween>
  );
}

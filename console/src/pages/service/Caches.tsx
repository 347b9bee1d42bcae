import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import type { Cache, CachesDeleted } from "../../api/kiln";
import { ago, bytes, count } from "../../format";
import { useNow, useReading, useSigned } from "../../hooks";
import { Ask } from "../../parts/Ask";
import { byNumber, byText, Listing } from "../../parts/Listing";
import { paths } from "../../router";
import { TEXT } from "../../text";

/** What builds have kept on the service's machine for later ones. */
export default function Caches() {
  const { api } = useSigned();
  const [asked, setAsked] = useState<Cache[]>();
  const [told, setTold] = useState<CachesDeleted>();
  const now = useNow(true);
  const reading = useReading("caches", async (signal) => {
    const found = await api.kiln<{ caches: Cache[] }>("ListCaches", {}, signal);
    return found.caches;
  });
  const remove = async (caches: Cache[]) => {
    const sum: CachesDeleted = { deleted: [], notFound: [], inUse: [], freedBytes: 0 };
    for (let at = 0; at < caches.length; at += 100) {
      const ids = caches.slice(at, at + 100).map(({ id }) => id);
      const done = await api.kiln<CachesDeleted>("DeleteCaches", { ids });
      sum.deleted.push(...done.deleted);
      sum.inUse.push(...done.inUse);
      sum.freedBytes += done.freedBytes;
    }
    setTold(sum);
  };
  return (
    <SpaceBetween size="m">
      {told && (
        <Alert
          type={told.inUse.length > 0 ? "warning" : "success"}
          dismissible
          dismissAriaLabel={TEXT.close}
          onDismiss={() => setTold(undefined)}
        >
          {TEXT.caches.deleted(told.deleted.length, bytes(told.freedBytes))}
          {told.inUse.length > 0 && ` ${TEXT.caches.inUse(told.inUse.length)}`}
        </Alert>
      )}
      <Listing<Cache>
        title={TEXT.caches.title}
        description={TEXT.caches.lead}
        reading={reading}
        idOf={({ id }) => id}
        textOf={({ id, namespace, key, paths: files }) => `${id} ${namespace} ${key ?? ""} ${files.join(" ")}`}
        none={TEXT.caches.none}
        noneMore={TEXT.caches.noneMore}
        isSelectable
        actions={(selected) => (
          <Button disabled={selected.length === 0} onClick={() => setAsked(selected)}>
            {TEXT.delete}
          </Button>
        )}
        columns={[
          {
            id: "project",
            header: TEXT.dashboard.project,
            isRowHeader: true,
            minWidth: 140,
            sortingComparator: byText(({ projectName, namespace }) => projectName ?? namespace),
            cell: ({ projectName, namespace }) =>
              projectName === undefined ? (
                <span className="break">{namespace}</span>
              ) : (
                <Link href={paths.project(projectName)}>{projectName}</Link>
              ),
          },
          {
            id: "paths",
            header: TEXT.caches.paths,
            minWidth: 180,
            cell: ({ paths: files, key }) => (
              <span className="break">
                {files.join(", ")}
                {key && (
                  <Box variant="small" display="block">
                    {TEXT.caches.key(key)}
                  </Box>
                )}
              </span>
            ),
          },
          {
            id: "files",
            header: TEXT.results.files,
            minWidth: 80,
            sortingComparator: byNumber(({ entries }) => entries),
            cell: ({ entries }) => (entries === 0 ? "–" : count(entries)),
          },
          {
            id: "size",
            header: TEXT.caches.size,
            minWidth: 100,
            sortingComparator: byNumber((cache) => cache.bytes),
            cell: (cache) => bytes(cache.bytes),
          },
          {
            id: "stored",
            header: TEXT.caches.stored,
            minWidth: 100,
            sortingComparator: byNumber(({ storedBytes }) => storedBytes),
            cell: ({ storedBytes }) => bytes(storedBytes),
          },
          {
            id: "used",
            header: TEXT.lastUsed,
            minWidth: 110,
            sortingComparator: byNumber(({ lastUsed }) => lastUsed),
            cell: ({ lastUsed }) => ago(new Date(lastUsed * 1000), now),
          },
        ]}
      />
      {asked && (
        <Ask
          header={TEXT.caches.deleteTitle(asked.length)}
          action={TEXT.delete}
          work={() => remove(asked)}
          onDone={() => {
            setAsked(undefined);
            reading.reload();
          }}
          onDismiss={() => setAsked(undefined)}
        >
          <Box>{TEXT.caches.deleteText}</Box>
        </Ask>
      )}
    </SpaceBetween>
  );
}

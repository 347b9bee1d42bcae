import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { type Image, type Repository, time } from "../../api/aws";
import { type Api, CallError, pages } from "../../api/client";
import { ago, bytes } from "../../format";
import { useNow, useReading, useSigned } from "../../hooks";
import { Ask } from "../../parts/Ask";
import { Code } from "../../parts/Code";
import { byNumber, byText, Listing } from "../../parts/Listing";
import { paths } from "../../router";
import { TEXT } from "../../text";

interface Failed {
  failures?: { failureReason?: string }[];
}

/** Repositories of container images, or the images of one. */
export default function Images({ repository }: { repository?: string }) {
  return repository === undefined ? <Repositories /> : <Repo name={repository} />;
}

function Repositories() {
  const { api } = useSigned();
  const [asked, setAsked] = useState<"create" | Repository[]>();
  const now = useNow(true);
  const reading = useReading("repositories", (signal) =>
    pages(async (nextToken) => {
      const input = { nextToken, maxResults: 1000 };
      const page = await api.json<{ repositories?: Repository[]; nextToken?: string }>(
        "ecr",
        "DescribeRepositories",
        input,
        signal,
      );
      return { items: page.repositories, next: page.nextToken };
    }),
  );
  const done = () => {
    setAsked(undefined);
    reading.reload();
  };
  return (
    <>
      <Listing<Repository>
        title={TEXT.images.title}
        description={TEXT.images.lead}
        reading={reading}
        idOf={({ repositoryName }) => repositoryName}
        textOf={({ repositoryName }) => repositoryName}
        none={TEXT.images.none}
        noneMore={TEXT.images.noneMore}
        isSelectable
        actions={(selected) => (
          <>
            <Button disabled={selected.length === 0} onClick={() => setAsked(selected)}>
              {TEXT.delete}
            </Button>
            <Button variant="primary" onClick={() => setAsked("create")}>
              {TEXT.images.create}
            </Button>
          </>
        )}
        columns={[
          {
            id: "name",
            header: TEXT.images.repository,
            isRowHeader: true,
            minWidth: 180,
            sortingComparator: byText(({ repositoryName }) => repositoryName),
            cell: ({ repositoryName }) => <Link href={paths.images(repositoryName)}>{repositoryName}</Link>,
          },
          {
            id: "uri",
            header: TEXT.images.uri,
            minWidth: 220,
            cell: ({ repositoryUri }) => <span className="break">{repositoryUri}</span>,
          },
          {
            id: "created",
            header: TEXT.created,
            minWidth: 110,
            sortingComparator: byNumber(({ createdAt }) => createdAt),
            cell: ({ createdAt }) => ago(time(createdAt) ?? new Date(now), now),
          },
        ]}
      />
      {asked === "create" && <Create onDone={done} onDismiss={() => setAsked(undefined)} />}
      {Array.isArray(asked) && <Remove repositories={asked} onDone={done} onDismiss={() => setAsked(undefined)} />}
    </>
  );
}

function Create({ onDone, onDismiss }: { onDone: () => void; onDismiss: () => void }) {
  const { api } = useSigned();
  const [name, setName] = useState("");
  return (
    <Ask
      header={TEXT.images.create}
      action={TEXT.images.create}
      isIncomplete={name.trim() === ""}
      work={() => api.json("ecr", "CreateRepository", { repositoryName: name.trim() })}
      onDone={onDone}
      onDismiss={onDismiss}
    >
      <FormField label={TEXT.name} description={TEXT.images.nameHint}>
        <Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
    </Ask>
  );
}

interface RemoveProps {
  repositories: Repository[];
  onDone: () => void;
  onDismiss: () => void;
}

function Remove({ repositories, onDone, onDismiss }: RemoveProps) {
  const { api } = useSigned();
  const [force, setForce] = useState(false);
  return (
    <Ask
      header={TEXT.images.deleteTitle}
      action={TEXT.delete}
      work={async () => {
        for (const { repositoryName } of repositories) {
          await api.json("ecr", "DeleteRepository", { repositoryName, force });
        }
      }}
      onDone={onDone}
      onDismiss={onDismiss}
    >
      <ul className="break">
        {repositories.map(({ repositoryName }) => (
          <li key={repositoryName}>{repositoryName}</li>
        ))}
      </ul>
      <Checkbox checked={force} onChange={({ detail }) => setForce(detail.checked)}>
        {TEXT.images.force}
      </Checkbox>
    </Ask>
  );
}

/** Deletes images by their digests; says what could not be. */
async function removeImages(api: Api, repositoryName: string, images: Image[]) {
  const imageIds = images.map(({ imageDigest }) => ({ imageDigest }));
  for (let at = 0; at < imageIds.length; at += 100) {
    const input = { repositoryName, imageIds: imageIds.slice(at, at + 100) };
    const { failures } = await api.json<Failed>("ecr", "BatchDeleteImage", input);
    const [failed] = failures ?? [];
    if (failed) throw new CallError("ImageNotDeleted", failed.failureReason ?? TEXT.images.kept);
  }
}

function Repo({ name }: { name: string }) {
  const { api } = useSigned();
  const [asked, setAsked] = useState<Image[]>();
  const now = useNow(true);
  const reading = useReading(`images ${name}`, async (signal) => {
    const images = await pages(async (nextToken) => {
      const input = { repositoryName: name, nextToken, maxResults: 1000 };
      const page = await api.json<{ imageDetails?: Image[]; nextToken?: string }>(
        "ecr",
        "DescribeImages",
        input,
        signal,
      );
      return { items: page.imageDetails, next: page.nextToken };
    });
    return images.sort((a, b) => (b.imagePushedAt ?? 0) - (a.imagePushedAt ?? 0));
  });
  const host = location.host;
  const login = `aws ecr get-login-password --endpoint-url ${location.origin} |
  docker login --username AWS --password-stdin ${host}`;
  const push = `docker tag app:latest ${host}/${name}:latest
docker push ${host}/${name}:latest`;
  return (
    <SpaceBetween size="l">
      <Listing<Image>
        title={name}
        description={<span className="break">{`${host}/${name}`}</span>}
        reading={reading}
        idOf={({ imageDigest }) => imageDigest}
        textOf={({ imageDigest, imageTags }) => `${imageDigest} ${imageTags?.join(" ") ?? ""}`}
        none={TEXT.images.noImages}
        isSelectable
        actions={(selected) => (
          <Button disabled={selected.length === 0} onClick={() => setAsked(selected)}>
            {TEXT.delete}
          </Button>
        )}
        columns={[
          {
            id: "tags",
            header: TEXT.images.tags,
            isRowHeader: true,
            minWidth: 120,
            sortingComparator: byText(({ imageTags }) => imageTags?.[0]),
            cell: ({ imageTags }) => <span className="break">{imageTags?.join(", ") ?? TEXT.images.untagged}</span>,
          },
          {
            id: "digest",
            header: TEXT.images.digest,
            minWidth: 220,
            cell: ({ imageDigest }) => <span className="break">{imageDigest}</span>,
          },
          {
            id: "size",
            header: TEXT.results.size,
            minWidth: 90,
            sortingComparator: byNumber(({ imageSizeInBytes }) => imageSizeInBytes),
            cell: ({ imageSizeInBytes }) => (imageSizeInBytes === undefined ? "–" : bytes(imageSizeInBytes)),
          },
          {
            id: "pushed",
            header: TEXT.images.pushed,
            minWidth: 110,
            sortingComparator: byNumber(({ imagePushedAt }) => imagePushedAt),
            cell: ({ imagePushedAt }) => (imagePushedAt === undefined ? "–" : ago(new Date(imagePushedAt * 1000), now)),
          },
          {
            id: "pulled",
            header: TEXT.images.pulled,
            minWidth: 110,
            sortingComparator: byNumber(({ lastRecordedPullTime }) => lastRecordedPullTime),
            cell: ({ lastRecordedPullTime }) =>
              lastRecordedPullTime === undefined ? TEXT.never : ago(new Date(lastRecordedPullTime * 1000), now),
          },
        ]}
      />
      <ExpandableSection headerText={TEXT.images.push} defaultExpanded={reading.data?.length === 0}>
        <SpaceBetween size="s">
          <Box>{TEXT.images.pushLogin}</Box>
          <Code name={TEXT.images.loginCommand} text={login} />
          <Box>{TEXT.images.pushThen}</Box>
          <Code name={TEXT.images.pushCommand} text={push} />
        </SpaceBetween>
      </ExpandableSection>
      {asked && (
        <Ask
          header={TEXT.images.deleteImagesTitle(asked.length)}
          action={TEXT.delete}
          work={() => removeImages(api, name, asked)}
          onDone={() => {
            setAsked(undefined);
            reading.reload();
          }}
          onDismiss={() => setAsked(undefined)}
        >
          <Box>{TEXT.images.deleteImagesText}</Box>
        </Ask>
      )}
    </SpaceBetween>
  );
}

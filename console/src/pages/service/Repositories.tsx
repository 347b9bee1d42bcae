import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import type { GitCommit, GitRepository } from "../../api/aws";
import { type Api, pages } from "../../api/client";
import { ago } from "../../format";
import { useNow, useReading, useSigned } from "../../hooks";
import { Ask } from "../../parts/Ask";
import { Code } from "../../parts/Code";
import { byNumber, byText, Listing } from "../../parts/Listing";
import { paths } from "../../router";
import { TEXT } from "../../text";

/** Repositories of a call. */
const BATCH = 25;

interface Branch {
  name: string;
  commit?: GitCommit;
}

/** Git repositories that the service hosts, or the branches of one. */
export default function Repositories({ repository }: { repository?: string }) {
  return repository === undefined ? <All /> : <One name={repository} />;
}

async function described(api: Api, signal: AbortSignal): Promise<GitRepository[]> {
  const names = await pages(async (nextToken) => {
    const page = await api.json<{ repositories?: { repositoryName: string }[]; nextToken?: string }>(
      "codecommit",
      "ListRepositories",
      { nextToken },
      signal,
    );
    return { items: page.repositories?.map(({ repositoryName }) => repositoryName), next: page.nextToken };
  });
  const found: GitRepository[] = [];
  for (let at = 0; at < names.length; at += BATCH) {
    const input = { repositoryNames: names.slice(at, at + BATCH) };
    const page = await api.json<{ repositories?: GitRepository[] }>(
      "codecommit",
      "BatchGetRepositories",
      input,
      signal,
    );
    found.push(...(page.repositories ?? []));
  }
  return found;
}

function All() {
  const { api } = useSigned();
  const [asked, setAsked] = useState<"create" | GitRepository[]>();
  const now = useNow(true);
  const reading = useReading("git repositories", (signal) => described(api, signal));
  const done = () => {
    setAsked(undefined);
    reading.reload();
  };
  return (
    <>
      <Listing<GitRepository>
        title={TEXT.repositories.title}
        description={TEXT.repositories.lead}
        reading={reading}
        idOf={({ repositoryName }) => repositoryName}
        textOf={({ repositoryName, repositoryDescription }) => `${repositoryName} ${repositoryDescription ?? ""}`}
        none={TEXT.images.none}
        noneMore={TEXT.repositories.noneMore}
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
            minWidth: 160,
            sortingComparator: byText(({ repositoryName }) => repositoryName),
            cell: ({ repositoryName, repositoryDescription }) => (
              <span className="break">
                <Link href={paths.repositories(repositoryName)}>{repositoryName}</Link>
                {repositoryDescription && (
                  <Box variant="small" display="block">
                    {repositoryDescription}
                  </Box>
                )}
              </span>
            ),
          },
          {
            id: "branch",
            header: TEXT.repositories.defaultBranch,
            minWidth: 120,
            cell: ({ defaultBranch }) => defaultBranch ?? "–",
          },
          {
            id: "changed",
            header: TEXT.changed,
            minWidth: 110,
            sortingComparator: byNumber(({ lastModifiedDate }) => lastModifiedDate),
            cell: ({ lastModifiedDate }) =>
              lastModifiedDate === undefined ? "–" : ago(new Date(lastModifiedDate * 1000), now),
          },
          {
            id: "url",
            header: TEXT.images.uri,
            minWidth: 240,
            cell: ({ cloneUrlHttp }) => <span className="break">{cloneUrlHttp}</span>,
          },
        ]}
      />
      {asked === "create" && <Create onDone={done} onDismiss={() => setAsked(undefined)} />}
      {Array.isArray(asked) && (
        <Ask
          header={TEXT.images.deleteTitle}
          action={TEXT.delete}
          work={async () => {
            for (const { repositoryName } of asked) {
              await api.json("codecommit", "DeleteRepository", { repositoryName });
            }
          }}
          onDone={done}
          onDismiss={() => setAsked(undefined)}
        >
          <Box>{TEXT.repositories.deleteText}</Box>
          <ul className="break">
            {asked.map(({ repositoryName }) => (
              <li key={repositoryName}>{repositoryName}</li>
            ))}
          </ul>
        </Ask>
      )}
    </>
  );
}

function Create({ onDone, onDismiss }: { onDone: () => void; onDismiss: () => void }) {
  const { api } = useSigned();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  return (
    <Ask
      header={TEXT.images.create}
      action={TEXT.images.create}
      isIncomplete={name.trim() === ""}
      work={() =>
        api.json("codecommit", "CreateRepository", {
          repositoryName: name.trim(),
          repositoryDescription: description.trim() || undefined,
        })
      }
      onDone={onDone}
      onDismiss={onDismiss}
    >
      <FormField label={TEXT.name} description={TEXT.repositories.nameHint}>
        <Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
      <FormField label={TEXT.form.labels.description}>
        <Input value={description} onChange={({ detail }) => setDescription(detail.value)} />
      </FormField>
    </Ask>
  );
}

function One({ name }: { name: string }) {
  const { api } = useSigned();
  const now = useNow(true);
  const repository = useReading(`git repository ${name}`, (signal) =>
    api
      .json<{ repositoryMetadata: GitRepository }>("codecommit", "GetRepository", { repositoryName: name }, signal)
      .then(({ repositoryMetadata }) => repositoryMetadata),
  );
  const branches = useReading(`branches of ${name}`, async (signal) => {
    const names = await pages(async (nextToken) => {
      const input = { repositoryName: name, nextToken };
      const page = await api.json<{ branches?: string[]; nextToken?: string }>(
        "codecommit",
        "ListBranches",
        input,
        signal,
      );
      return { items: page.branches, next: page.nextToken };
    });
    const found: Branch[] = [];
    for (const branchName of names) {
      const input = { repositoryName: name, branchName };
      const { branch } = await api.json<{ branch?: { commitId?: string } }>("codecommit", "GetBranch", input, signal);
      const commitId = branch?.commitId;
      if (commitId === undefined) {
        found.push({ name: branchName });
        continue;
      }
      const { commit } = await api.json<{ commit: GitCommit }>(
        "codecommit",
        "GetCommit",
        { repositoryName: name, commitId },
        signal,
      );
      found.push({ name: branchName, commit });
    }
    return found;
  });
  const clone = `git clone -c credential.helper='!aws codecommit credential-helper $@' \\
  -c credential.UseHttpPath=true ${repository.data?.cloneUrlHttp ?? `${location.origin}/v1/repos/${name}`}`;
  // `1484167798 -0800`, as git has it.
  const madeAt = (branch: Branch) => Number(branch.commit?.author?.date?.split(" ")[0] ?? 0);
  return (
    <SpaceBetween size="l">
      <Listing<Branch>
        title={name}
        description={repository.data?.repositoryDescription}
        reading={branches}
        idOf={(branch) => branch.name}
        textOf={(branch) => `${branch.name} ${branch.commit?.message ?? ""}`}
        none={TEXT.repositories.noBranches}
        columns={[
          {
            id: "branch",
            header: TEXT.repositories.branch,
            isRowHeader: true,
            minWidth: 140,
            sortingComparator: byText((branch) => branch.name),
            cell: (branch) => (
              <span className="break">
                {branch.name}
                {branch.name === repository.data?.defaultBranch && (
                  <Box variant="small" display="block">
                    {TEXT.repositories.defaultBranch}
                  </Box>
                )}
              </span>
            ),
          },
          {
            id: "commit",
            header: TEXT.repositories.commit,
            minWidth: 130,
            cell: (branch) => branch.commit?.commitId.slice(0, 12) ?? "–",
          },
          {
            id: "message",
            header: TEXT.repositories.message,
            minWidth: 220,
            cell: (branch) => <span className="break">{branch.commit?.message?.split("\n")[0]}</span>,
          },
          {
            id: "author",
            header: TEXT.repositories.author,
            minWidth: 130,
            cell: (branch) => <span className="break">{branch.commit?.author?.name ?? "–"}</span>,
          },
          {
            id: "time",
            header: TEXT.changed,
            minWidth: 110,
            sortingComparator: byNumber(madeAt),
            cell: (branch) => (madeAt(branch) > 0 ? ago(new Date(madeAt(branch) * 1000), now) : "–"),
          },
        ]}
      />
      <ExpandableSection headerText={TEXT.repositories.clone} defaultExpanded={branches.data?.length === 0}>
        <SpaceBetween size="s">
          <Box>{TEXT.repositories.cloneHint}</Box>
          <Code name={TEXT.repositories.clone} text={clone} />
        </SpaceBetween>
      </ExpandableSection>
    </SpaceBetween>
  );
}

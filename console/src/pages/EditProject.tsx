import {
  BatchGetProjectsCommand,
  CreateProjectCommand,
  type Project,
  UpdateProjectCommand,
} from "@aws-sdk/client-codebuild";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tabs from "@cloudscape-design/components/tabs";
import Wizard from "@cloudscape-design/components/wizard";
import { useState } from "react";
import { type Api, type CallError, callError } from "../api/client";
import { useReading, useSigned } from "../hooks";
import { Problem } from "../parts/Problem";
import { BEGINNING, type Draft, ofProject, put, text, toCreate, toUpdate } from "../project/draft";
import { Exports } from "../project/Exports";
import { Fields } from "../project/FieldView";
import { meant, STEPS, wrongs } from "../project/fields";
import { navigate, paths } from "../router";
import { TEXT } from "../text";
import { whoIs } from "./SignIn";

/** What a new project begins with: a build that needs nothing else. */
function beginning(caller: string): Draft {
  // The role that a first start makes (docs/iam.md).
  const [, partition = "aws", , , account] = caller.split(":");
  const role = account ? { serviceRole: `arn:${partition}:iam::${account}:role/kiln-default-build-role` } : {};
  return {
    ...role,
    source: { type: "NO_SOURCE", buildspec: BEGINNING },
    environment: { type: "LINUX_CONTAINER", image: "host", computeType: "BUILD_GENERAL1_SMALL" },
    artifacts: { type: "NO_ARTIFACTS" },
  };
}

/** Creates a project, or edits the one of that name. */
export default function EditProject({ name }: { name?: string }) {
  const { api } = useSigned();
  const reading = useReading(`edit ${name ?? ""}`, async (abortSignal) => {
    if (name === undefined) return { draft: beginning(await whoIs(api.session).catch(() => "")) };
    const found = await api.codebuild.send(new BatchGetProjectsCommand({ names: [name] }), { abortSignal });
    const project: Project | undefined = found.projects?.[0];
    return { draft: project && ofProject(project) };
  });
  if (!reading.data) return reading.error ? <Problem error={reading.error} /> : <Spinner size="large" />;
  const { draft } = reading.data;
  if (!draft) return <Alert type="warning">{TEXT.project.missing}</Alert>;
  return name === undefined ? <Create before={draft} /> : <Edit name={name} before={draft} />;
}

/** Fields of this step that have something wrong. */
function wrongIn(at: number, draft: Draft): number {
  return (STEPS[at]?.sections ?? []).reduce((sum, section) => sum + wrongs(section.fields, draft), 0);
}

/** What is sent: without fields that have no meaning beside the others. */
function made(draft: Draft): Draft {
  return meant(draft, (some, path) => put(some, path, undefined));
}

interface Saving {
  error?: CallError;
  isBusy: boolean;
  save: () => void;
}

function useSaving(draft: Draft, work: (api: Api, project: Draft) => Promise<unknown>): Saving {
  const { api } = useSigned();
  const [error, setError] = useState<CallError>();
  const [isBusy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const project = made(draft);
      await work(api, project);
      navigate(paths.project(text(project, "name")));
    } catch (thrown) {
      setError(callError(thrown));
      setBusy(false);
    }
  };
  return { error, isBusy, save: () => void save() };
}

interface StepFormProps {
  at: number;
  draft: Draft;
  isStrict: boolean;
  fixed?: string[];
  onChange: (draft: Draft) => void;
}

function StepForm({ at, draft, isStrict, fixed, onChange }: StepFormProps) {
  return (
    <SpaceBetween size="l">
      {STEPS[at]?.sections.map(({ title, fields }) => (
        <Container key={title} header={<Header variant="h2">{title}</Header>}>
          <Fields fields={fields} draft={draft} isStrict={isStrict} fixed={fixed} onChange={onChange} />
        </Container>
      ))}
    </SpaceBetween>
  );
}

/** Step by step, as nothing is there yet. */
function Create({ before }: { before: Draft }) {
  const [draft, setDraft] = useState(before);
  const [step, setStep] = useState(0);
  /** The furthest step that somebody wanted to leave. */
  const [strict, setStrict] = useState(-1);
  const { error, isBusy, save } = useSaving(draft, (api, project) =>
    api.codebuild.send(new CreateProjectCommand(toCreate(project))),
  );
  return (
    <Wizard
      activeStepIndex={step}
      isLoadingNextStep={isBusy}
      submitButtonText={TEXT.form.create}
      i18nStrings={{
        stepNumberLabel: TEXT.form.step,
        collapsedStepsLabel: TEXT.form.steps.of,
        navigationAriaLabel: TEXT.form.navigation,
        cancelButton: TEXT.cancel,
        previousButton: TEXT.form.previous,
        nextButton: TEXT.form.next,
        submitButtonLoadingAnnouncement: TEXT.loading,
      }}
      onCancel={() => navigate(paths.projects)}
      onSubmit={save}
      onNavigate={({ detail: { requestedStepIndex: to } }) => {
        if (to > step && wrongIn(step, draft) > 0) setStrict(Math.max(strict, step));
        else setStep(to);
      }}
      steps={[
        ...STEPS.map(({ title }, at) => ({
          title,
          errorText: at <= strict && wrongIn(at, draft) > 0 ? TEXT.form.wrong.some(wrongIn(at, draft)) : undefined,
          content: <StepForm at={at} draft={draft} isStrict={at <= strict} onChange={setDraft} />,
        })),
        {
          title: TEXT.form.steps.review,
          content: (
            <SpaceBetween size="l">
              {error && <Problem error={error} />}
              <Exports draft={made(draft)} command="create-project" />
            </SpaceBetween>
          ),
        },
      ]}
    />
  );
}

/** All at once, as most of it stays. */
function Edit({ name, before }: { name: string; before: Draft }) {
  const [draft, setDraft] = useState(before);
  const [tab, setTab] = useState("0");
  const { error, isBusy, save } = useSaving(draft, (api, project) =>
    api.codebuild.send(new UpdateProjectCommand({ ...toUpdate(project, before), name })),
  );
  const submit = () => {
    const first = STEPS.findIndex((_, at) => wrongIn(at, draft) > 0);
    if (first >= 0) setTab(String(first));
    else save();
  };
  const all = STEPS.reduce((sum, _, at) => sum + wrongIn(at, draft), 0);
  return (
    <SpaceBetween size="m">
      <Header
        variant="h1"
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => navigate(paths.project(name))}>
              {TEXT.cancel}
            </Button>
            <Button variant="primary" loading={isBusy} onClick={submit}>
              {TEXT.form.save}
            </Button>
          </SpaceBetween>
        }
      >
        {TEXT.form.editOf(name)}
      </Header>
      {error && <Problem error={error} />}
      {all > 0 && <Alert type="error">{TEXT.form.wrong.all(all)}</Alert>}
      <Tabs
        activeTabId={tab}
        i18nStrings={{ scrollLeftAriaLabel: TEXT.build.tabsLeft, scrollRightAriaLabel: TEXT.build.tabsRight }}
        onChange={({ detail }) => setTab(detail.activeTabId)}
        tabs={[
          ...STEPS.map(({ title }, at) => ({
            id: String(at),
            label: wrongIn(at, draft) > 0 ? `${title} (${wrongIn(at, draft)})` : title,
            content: <StepForm at={at} draft={draft} isStrict fixed={["name"]} onChange={setDraft} />,
          })),
          {
            id: "review",
            label: TEXT.form.steps.review,
            content: <Exports draft={made(draft)} command="update-project" />,
          },
        ]}
      />
    </SpaceBetween>
  );
}

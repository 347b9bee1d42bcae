import {
  type Build,
  ComputeType,
  type EnvironmentVariable,
  EnvironmentVariableType,
  StartBuildCommand,
  type StartBuildCommandInput,
} from "@aws-sdk/client-codebuild";
import AttributeEditor from "@cloudscape-design/components/attribute-editor";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import Textarea from "@cloudscape-design/components/textarea";
import { useState } from "react";
import { useSigned } from "../hooks";
import { Ask } from "../parts/Ask";
import { words } from "../parts/status";
import { navigate, paths } from "../router";
import { TEXT } from "../text";

interface Variable {
  name: string;
  value: string;
  type: EnvironmentVariableType;
}

const AS_PROJECT = { value: "", label: TEXT.overrides.asProject };
const COMPUTE = Object.values(ComputeType).filter((type) => type.startsWith("BUILD_"));

export interface StartBuildProps {
  project: string;
  /** A build whose overrides are begun with. */
  like?: Build;
  onDismiss: () => void;
}

/** Starts a build, with other settings than the project's. */
export function StartBuild({ project, like, onDismiss }: StartBuildProps) {
  const { api } = useSigned();
  const [version, setVersion] = useState(like?.sourceVersion ?? "");
  const [image, setImage] = useState(like?.environment?.image ?? "");
  const [compute, setCompute] = useState<string>(like?.environment?.computeType ?? "");
  const [privileged, setPrivileged] = useState("");
  const [timeout, setTimeout] = useState("");
  const [buildspec, setBuildspec] = useState("");
  const [variables, setVariables] = useState<Variable[]>([]);

  const start = async () => {
    const overrides: EnvironmentVariable[] = variables.filter((variable) => variable.name !== "");
    const input: StartBuildCommandInput = {
      projectName: project,
      sourceVersion: version.trim() || undefined,
      imageOverride: image.trim() || undefined,
      computeTypeOverride: (compute as ComputeType) || undefined,
      privilegedModeOverride: privileged === "" ? undefined : privileged === "yes",
      timeoutInMinutesOverride: timeout.trim() === "" ? undefined : Number(timeout),
      buildspecOverride: buildspec.trim() === "" ? undefined : buildspec,
      environmentVariablesOverride: overrides.length > 0 ? overrides : undefined,
    };
    const { build } = await api.codebuild.send(new StartBuildCommand(input));
    onDismiss();
    if (build?.id) navigate(paths.build(build.id));
  };

  const yesNo = [
    AS_PROJECT,
    { value: "yes", label: TEXT.environment.yes },
    { value: "no", label: TEXT.environment.no },
  ];
  const computeOptions = [AS_PROJECT, ...COMPUTE.map((value) => ({ value: value as string, label: value as string }))];
  const option = (options: { value: string; label: string }[], value: string) =>
    options.find((one) => one.value === value) ?? { value, label: value };

  return (
    <Ask
      size="large"
      header={TEXT.overrides.title(project)}
      action={TEXT.overrides.go}
      work={start}
      onDone={() => {}}
      onDismiss={onDismiss}
    >
      <FormField label={TEXT.overrides.version} description={TEXT.overrides.versionHint} stretch>
        <Input value={version} onChange={({ detail }) => setVersion(detail.value)} />
      </FormField>
      <FormField label={TEXT.overrides.variables} stretch>
        <AttributeEditor<Variable>
          items={variables}
          addButtonText={TEXT.overrides.add}
          removeButtonText={TEXT.overrides.remove}
          empty={TEXT.overrides.noVariables}
          onAddButtonClick={() => setVariables([...variables, { name: "", value: "", type: "PLAINTEXT" }])}
          onRemoveButtonClick={({ detail }) => setVariables(variables.filter((_, at) => at !== detail.itemIndex))}
          definition={[
            {
              label: TEXT.overrides.name,
              control: (item, index) => (
                <Input
                  value={item.name}
                  spellcheck={false}
                  onChange={({ detail }) => setVariables(variables.with(index, { ...item, name: detail.value }))}
                />
              ),
            },
            {
              label: TEXT.overrides.value,
              control: (item, index) => (
                <Input
                  value={item.value}
                  spellcheck={false}
                  onChange={({ detail }) => setVariables(variables.with(index, { ...item, value: detail.value }))}
                />
              ),
            },
            {
              label: TEXT.overrides.type,
              control: (item, index) => (
                <Select
                  selectedOption={{ value: item.type, label: words(item.type) }}
                  options={Object.values(EnvironmentVariableType).map((value) => ({ value, label: words(value) }))}
                  onChange={({ detail }) => {
                    const type = detail.selectedOption.value as EnvironmentVariableType;
                    setVariables(variables.with(index, { ...item, type }));
                  }}
                />
              ),
            },
          ]}
        />
      </FormField>
      <FormField label={TEXT.overrides.image} stretch>
        <Input value={image} placeholder={TEXT.overrides.asProject} onChange={({ detail }) => setImage(detail.value)} />
      </FormField>
      <FormField label={TEXT.overrides.compute} stretch>
        <Select
          selectedOption={option(computeOptions, compute)}
          options={computeOptions}
          onChange={({ detail }) => setCompute(detail.selectedOption.value ?? "")}
        />
      </FormField>
      <FormField label={TEXT.overrides.privileged} stretch>
        <Select
          selectedOption={option(yesNo, privileged)}
          options={yesNo}
          onChange={({ detail }) => setPrivileged(detail.selectedOption.value ?? "")}
        />
      </FormField>
      <FormField label={TEXT.overrides.timeout} stretch>
        <Input
          type="number"
          value={timeout}
          placeholder={TEXT.overrides.asProject}
          onChange={({ detail }) => setTimeout(detail.value)}
        />
      </FormField>
      <FormField label={TEXT.overrides.buildspec} description={TEXT.overrides.buildspecHint} stretch>
        <Textarea value={buildspec} rows={6} spellcheck={false} onChange={({ detail }) => setBuildspec(detail.value)} />
      </FormField>
    </Ask>
  );
}
